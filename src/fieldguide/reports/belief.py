"""How far answers can be believed: whether probabilities are true, and what the guide calls unknown."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate import Calibration, calibration, wilson_interval
from fieldguide.evaluate.coverage import least_probability
from fieldguide.guide import Guide
from fieldguide.head import softmax
from fieldguide.reports.album import Album
from fieldguide.reports.evidence import Sample

COVERAGE = 0.95
_UNKNOWN_SHOWN = 12


def reliability(guide: Guide, probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return how true probabilities are, and how true they were before the guide corrected them.

    Args:
        guide: whose answers these are.
        probs: (N, K) the answers, N at least 1.
        labels: (N,) the truth.
    """
    found = calibration(probs, labels)
    before = None
    if guide.trust is not None:
        logits = np.log(np.maximum(probs, np.finfo(np.float32).tiny))
        before = _facts(calibration(softmax(logits * np.float32(guide.trust.temperature)), labels))
    return {"after": _facts(found), "before": before, "by_chance": found.error_by_chance}


def _facts(found: Calibration) -> dict[str, Any]:
    bins = [
        {
            "probability": b.probability,
            "top1": b.top1,
            "count": b.count,
            "interval": wilson_interval(round(b.top1 * b.count), b.count),
        }
        for b in found.bins
    ]
    return {"error": found.error, "bins": bins}


def sets_of_classes(guide: Guide, probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return how often the sets of classes that the guide gives hold the truth, and how many classes they have.

    They are empty facts of a guide that can't give any.
    """
    if guide.trust is None or not len(guide.trust.of_truth):
        return {}
    least = np.minimum(least_probability(guide.trust.of_truth, COVERAGE), probs.max(axis=1))
    inside = probs >= least[:, None]
    return {
        "coverage": COVERAGE,
        "held": float(inside[np.arange(len(labels)), labels].mean()),
        "mean_size": float(inside.sum(axis=1).mean()),
        "alone": float((inside.sum(axis=1) == 1).mean()),
    }


def called_unknown(guide: Guide, asked: Sample) -> npt.NDArray[np.bool_]:
    """Return which of the N photos asked about the guide calls unknown, (N,)."""
    if guide.trust is None or not len(asked):
        return np.zeros(len(asked), np.bool_)
    found: npt.NDArray[np.bool_] = (
        guide.trust.familiarity.measure(asked.features) < guide.trust.familiarity.threshold
    )
    return found


def unknowns(guide: Guide, asked: Sample, probs: npt.NDArray[np.float32], album: Album) -> dict[str, Any]:
    """Return which of the photos asked about the guide calls unknown, the least familiar first."""
    if guide.trust is None:
        return {}
    familiarity = guide.trust.familiarity.measure(asked.features)
    unknown = np.flatnonzero(called_unknown(guide, asked))
    shown = unknown[np.argsort(familiarity[unknown], kind="stable")][:_UNKNOWN_SHOWN]
    right = probs.argmax(axis=1) == asked.labels
    return {
        "count": len(unknown),
        "share": len(unknown) / len(asked),
        "right": int(right[unknown].sum()),
        "photos": [album.add(asked, row, probs=probs[row]) for row in shown.tolist()],
    }
