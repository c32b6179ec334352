"""The worst mistakes: the marks that misled, and the known photos most like them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fieldguide.errors import PhotoError
from fieldguide.evaluate.neighbours import unit_rows
from fieldguide.guide import Guide
from fieldguide.pages.thumbnails import Room, pixels_to_text, thumbnail
from fieldguide.pictures.marks import Panel, overlaid
from fieldguide.reports.evidence import Evidence, Sample

if TYPE_CHECKING:
    from fieldguide.explain import Explainer

SHOWN = 8
_NEAREST = 3
_ROWS = 8192  # known photos at a time
_SIDE_PX = 160


def worst_mistakes(
    guide: Guide,
    evidence: Evidence,
    probs: npt.NDArray[np.float32],
    is_unknown: npt.NDArray[np.bool_],
    room: Room,
) -> list[dict[str, Any]]:
    """Return the mistakes that the guide was surest of, as the page shows them.

    Args:
        guide: that made them.
        evidence: the photos.
        probs: (N, K) what it says of those that it was asked about.
        is_unknown: (N,) which of these it calls unknown.
        room: for pictures.
    """
    asked = evidence.asked
    answers = probs.argmax(axis=1)
    wrong = np.flatnonzero(answers != asked.labels)
    worst = wrong[np.argsort(-probs[wrong, answers[wrong]], kind="stable")][:SHOWN]
    if not len(worst):
        return []
    from fieldguide.explain import Explainer  # and with it torch, which a guide without mistakes does not need

    try:
        explainer = Explainer(guide)
    except ValueError:  # a network that can't be followed without computing has no marks, and has mistakes
        explainer = None
    nearest = _nearest(evidence.known, asked.features[worst])
    return [
        {
            "name": asked.names[row],
            "true": int(asked.labels[row]),
            "answer": int(answers[row]),
            "probability": float(probs[row].max()),
            "is_unknown": bool(is_unknown[row]),
            "of_truth": float(probs[row, asked.labels[row]]),
            "picture": room.take(thumbnail(asked.images, int(asked.indices[row]), _SIDE_PX)),
            "marks": room.take(_marks(explainer, asked, row, guide.class_names[answers[row]])),
            "nearest": [_neighbour(evidence.known, other, likeness, room) for other, likeness in likest],
        }
        for row, likest in zip(worst.tolist(), nearest, strict=True)
    ]


def _marks(explainer: "Explainer | None", asked: Sample, row: int, class_name: str) -> str:
    """Return the picture with the marks of a class over it; "" where nothing speaks for it."""
    if explainer is None:
        return ""
    try:
        (marks,) = explainer.explain(asked.images.read(int(asked.indices[row])), [class_name])
    except (PhotoError, OSError):  # it could be read a moment ago
        return ""
    return pixels_to_text(overlaid(Panel("", marks.picture, marks.heat))) if marks.heat.any() else ""


def _nearest(known: Sample, features: npt.NDArray[np.floating]) -> list[list[tuple[int, float]]]:
    """Return for each of some photos the rows of the known ones most like it, and how like these are."""
    if not len(known):
        return [[] for _ in features]
    queries = unit_rows(features)
    blocks = (known.features[start : start + _ROWS] for start in range(0, len(known), _ROWS))
    likeness = np.concatenate([queries @ unit_rows(block).T for block in blocks], axis=1)
    best = np.argsort(-likeness, axis=1, kind="stable")[:, :_NEAREST]
    return [
        [(row, float(of_one[row])) for row in rows] for of_one, rows in zip(likeness, best.tolist(), strict=True)
    ]


def _neighbour(known: Sample, row: int, likeness: float, room: Room) -> dict[str, Any]:
    return {
        "name": known.names[row],
        "true": int(known.labels[row]),
        "likeness": likeness,
        "picture": room.take(thumbnail(known.images, int(known.indices[row]), _SIDE_PX)),
    }
