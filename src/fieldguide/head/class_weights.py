"""Weights by which every class counts the same, however many photos it has."""

import numpy as np
import numpy.typing as npt


def class_weights(labels: npt.NDArray[np.int64], num_classes: int) -> npt.NDArray[np.float32]:
    """Return a weight for each class, (K,), by the inverse of how often it comes; a photo's mean weight is 1."""
    counts = np.bincount(labels[labels >= 0], minlength=num_classes)
    present = np.count_nonzero(counts)
    weights: npt.NDArray[np.float64] = counts.sum() / (present * np.maximum(counts, 1))
    return weights.astype(np.float32)
