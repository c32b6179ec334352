"""The map of the photos: those that look alike to the guide lie near each other."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate.neighbours import unit_rows
from fieldguide.libraries import one_thread
from fieldguide.reports.album import SMALL_PX, Album
from fieldguide.reports.evidence import Evidence

WIDTH, HEIGHT = 1000, 600  # of the map, in its own units
_OF_EACH = 400  # photos learnt from, and photos asked about
_PARTS, _STEPS, _PERPLEXITY = 30, 300, 30
_BEGINNING = 1e-4  # spread of the places that t-SNE begins from
_FEWEST, _MANY = 20, 150  # photos: fewer are nothing to arrange, and more are arranged by their neighbours


def photo_map(evidence: Evidence, probs: npt.NDArray[np.float32], album: Album) -> list[dict[str, Any]]:
    """Return where photos lie; nothing of few photos.

    Args:
        evidence: the photos.
        probs: (N, K) what the guide says of those it was asked about.
        album: that keeps the pictures.
    """
    known, asked = _some(len(evidence.known)), _some(len(evidence.asked))
    if len(known) + len(asked) < _FEWEST:
        return []
    features = [of.features[rows] for of, rows in ((evidence.known, known), (evidence.asked, asked)) if len(rows)]
    places = _places(unit_rows(np.concatenate(features)))
    photos: list[dict[str, Any]] = []
    for row in known.tolist():
        number = album.add(evidence.known, row, side_px=SMALL_PX)
        photos.append({"photo": number, "class": int(evidence.known.labels[row]), "kind": "known"})
    for row in asked.tolist():
        label = int(evidence.asked.labels[row])
        number = album.add(evidence.asked, row, probs=probs[row], side_px=SMALL_PX)
        photos.append(
            {"photo": number, "class": label, "kind": "right" if probs[row].argmax() == label else "wrong"}
        )
    return [{**photo, "x": x, "y": y} for photo, (x, y) in zip(photos, places.tolist(), strict=True)]


def _some(count: int) -> npt.NDArray[np.int64]:
    """Return rows, evenly chosen."""
    return np.linspace(0, count - 1, min(count, _OF_EACH)).round().astype(np.int64)


def _places(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Rows (N, D) of length 1 -> (N, 2) places on the map.

    Few photos are laid out by their principal components, many by t-SNE (van der Maaten and Hinton, 2008,
    https://www.jmlr.org/papers/v9/vandermaaten08a.html).
    """
    parts = _principal_components(rows)
    found = parts[:, :2] if len(rows) < _MANY else _by_neighbours(parts)
    low, high = found.min(axis=0), found.max(axis=0)
    scaled = (found - low) / np.maximum(high - low, 1e-9) * (WIDTH, HEIGHT)
    places: npt.NDArray[np.int64] = scaled.round().astype(np.int64)
    return places


def _principal_components(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows (N, D) -> (N, P) their components along the directions of most variance, 2 at least."""
    centred = rows - rows.mean(axis=0)
    with one_thread():
        directions, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    parts: npt.NDArray[np.float32] = (directions * lengths)[:, :_PARTS]
    return parts if parts.shape[1] > 1 else np.pad(parts, ((0, 0), (0, 1)))


def _by_neighbours(parts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from sklearn.manifold import TSNE

    begin = parts[:, :2] * (_BEGINNING / max(float(parts[:, 0].std()), 1e-9))
    method = TSNE(perplexity=_PERPLEXITY, init=begin, random_state=0, max_iter=_STEPS)
    with one_thread():
        found: npt.NDArray[np.float32] = method.fit_transform(parts)
    return found
