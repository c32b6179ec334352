"""What a step is computed with: the kind of numbers, and how many processes."""
