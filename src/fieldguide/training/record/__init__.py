"""What is kept of a run: its orders, its checkpoints, its history, and the facts in the guide."""
