"""The photos most like each one, by the cosine of their features: exactly, or by an index where there are many."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.libraries import one_thread

Floats = npt.NDArray[np.float32]

_DIMS = 128  # principal components: neighbours stay, and products take a tenth of the time
_FIT_ON = 20_000  # photos that these are found by
_EXACT_UP_TO = 20_000  # photos; more take an index, or time would grow with their square
_ROWS = 2048  # at a time
_CONNECTIVITY, _EXPANSION = 16, 96  # of the index: of each photo, links kept and candidates weighed


@dataclass(frozen=True)
class Neighbours:
    """The most similar photos of each.

    Args:
        indices: (N, C) which, the most similar first.
        similarities: (N, C) cosines with them, of features less their mean.
    """

    indices: npt.NDArray[np.int64]
    similarities: Floats


def find_neighbours(features: npt.NDArray[np.floating], count: int) -> Neighbours:
    """Find the neighbours of every photo among the others.

    Args:
        features: (N, D), N at least 2.
        count: C of each; as many as there are others, where these are fewer.
    """
    count = min(count, len(features) - 1)
    directions = _directions(features)
    find = _by_products if len(features) <= _EXACT_UP_TO else _by_index
    indices, similarities = find(directions, count + 1)
    return _without_oneself(indices, similarities, count)


def _directions(features: npt.NDArray[np.floating]) -> Floats:
    """(N, D) -> principal components (N, at most 128), of length 1."""
    sample = features[:: -(-len(features) // _FIT_ON)].astype(np.float32)
    mean = sample.mean(axis=0)
    sample -= mean
    products = sample.T @ sample
    with one_thread():
        _, vectors = np.linalg.eigh(products)
    axes = vectors[:, ::-1][:, :_DIMS]
    blocks = [(features[start : start + _ROWS] - mean) @ axes for start in range(0, len(features), _ROWS)]
    directions = np.concatenate(blocks).astype(np.float32)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return directions


def _by_products(directions: Floats, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    indices = np.empty((len(directions), count), np.int64)
    similarities = np.empty((len(directions), count), np.float32)
    for start in range(0, len(directions), _ROWS):
        block = slice(start, start + _ROWS)
        products = directions[block] @ directions.T
        nearest = np.argpartition(-products, count - 1, axis=1)[:, :count]
        indices[block], similarities[block] = nearest, np.take_along_axis(products, nearest, axis=1)
    return indices, similarities


def _by_index(directions: Floats, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    from usearch.index import Index

    index = Index(
        ndim=directions.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION,
        expansion_search=_EXPANSION,
    )
    index.add(np.arange(len(directions)), directions)
    matches = index.search(directions, count)
    return matches.keys.astype(np.int64), 1 - matches.distances.astype(np.float32)


def _without_oneself(indices: npt.NDArray[np.int64], similarities: Floats, count: int) -> Neighbours:
    """Leave each photo itself out, and order the others."""
    similarities = np.where(indices == np.arange(len(indices))[:, None], -np.inf, similarities)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
    return Neighbours(np.take_along_axis(indices, order, axis=1), np.take_along_axis(similarities, order, axis=1))
