"""Answers by the nearest neighbours: how well features part the classes, with nothing learnt from labels."""

from typing import Any

import numpy as np
import numpy.typing as npt

TEMPERATURE = 0.07  # of a neighbour's vote (Wu et al., 2018, section 3.4)
_ROWS = 1024  # queries at a time: memory stays flat


def neighbour_probs(
    known: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    features: npt.NDArray[np.floating[Any]],
    num_classes: int,
    *,
    num_neighbours: int = 20,
) -> npt.NDArray[np.float64]:
    """Features (M, D) -> (M, K): the share of each class in the votes of the most similar known features.

    Similarity is the cosine; a vote weighs exp(similarity / 0.07) (Wu et al., 2018,
    https://arxiv.org/abs/1805.01978, section 3.4).

    Args:
        known: (N, D) features of photos whose class is known, N at least 1.
        labels: (N,) their classes, in [0, K).
        features: (M, D) to answer for.
        num_classes: K.
        num_neighbours: that vote; all, where there are fewer.

    Raises:
        ValueError: the shapes don't match, nothing is known, a label is no class, or num_neighbours is below 1.
    """
    if not len(known) or known.shape[1:] != features.shape[1:] or labels.shape != (len(known),):
        raise ValueError(
            f"known {known.shape}, labels {labels.shape} and features {features.shape} don't match, or nothing is "
            "known"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"labels are from {labels.min()} to {labels.max()}; with {num_classes} classes they must be from 0 to "
            f"{num_classes - 1}: leave photos without a label out"
        )
    if num_neighbours < 1:
        raise ValueError(f"num_neighbours is {num_neighbours}; it must be 1 or more")
    count = min(num_neighbours, len(known))
    bank, queries = unit_rows(known), unit_rows(features)
    votes = np.zeros((len(queries), num_classes))
    for start in range(0, len(queries), _ROWS):
        similar = queries[start : start + _ROWS] @ bank.T
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        weights = np.exp((np.take_along_axis(similar, nearest, axis=1).astype(np.float64) - 1) / TEMPERATURE)
        rows = np.arange(start, start + len(similar))
        np.add.at(votes, (rows[:, None], labels[nearest]), weights)
    shares: npt.NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
    return shares


def unit_rows(features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Return rows of length 1; a row of zeros stays so."""
    rows = features.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return rows
