"""The head: a linear classifier on features, how it is fitted, and what it says of photos new to it."""

from fieldguide.head.linear import LinearHead, softmax

__all__ = ["LinearHead", "softmax"]
