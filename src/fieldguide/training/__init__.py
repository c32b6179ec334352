"""Training: photos to a guide."""

from fieldguide.training.train import train

__all__ = ["train"]
