"""Accuracy with its interval, log loss, and per-class scores."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import SkippedPhoto
from fieldguide.evaluate.answers import Answers
from fieldguide.evaluate.calibration import Calibration, calibration

_Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised.

    Args:
        name: of the class.
        precision: share of the photos predicted as this class that show it; nan where none was predicted.
        recall: share of the photos of this class that were predicted as it; nan where there is none.
        f1: harmonic mean of the two; nan where both are undefined.
        support: photos that show it.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """A classifier's answers held against the truth.

    Args:
        num_photos: photos evaluated.
        top1: share whose most probable class is the true one.
        top1_interval: Wilson 95 % interval of top1.
        top5: share whose true class is among the five most probable; None with five classes or fewer.
        log_loss: mean of -log(probability of the true class), natural logarithm.
        classes: per-class scores, in the order of the classes.
        confusion: (K, K) counts; rows are true classes, columns predicted ones.
        calibration: how true the probabilities are.
        left_out: photos not evaluated because the classifier was trained on them.
        skipped: photos that could not be used.
        answers: what it said of each photo, where that is kept.
    """

    num_photos: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float | None
    log_loss: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    left_out: int = 0
    skipped: tuple[SkippedPhoto, ...] = ()
    answers: Answers | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them; a score that is undefined is null."""
        values = asdict(replace(self, answers=None))
        del values["answers"]
        for score in values["classes"]:
            score.update({k: None for k, v in score.items() if isinstance(v, float) and math.isnan(v)})
        return values

    def files(self) -> dict[str, bytes]:
        """Return what is kept of it: metrics.json and, where the answers are known, predictions.parquet."""
        files = {"metrics.json": json.dumps(self.to_dict(), ensure_ascii=False, indent=2).encode()}
        return files if self.answers is None else {**files, "predictions.parquet": self.answers.to_parquet()}


def evaluate(
    probs: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]], class_names: tuple[str, ...]
) -> Evaluation:
    """Evaluate answers.

    Args:
        probs: (N, K) probability of each class, N at least 1.
        labels: (N,) true class of each photo, in [0, K).
        class_names: (K,).

    Raises:
        ValueError: the shapes don't match, a label is out of range, or there is no photo.
    """
    count, num_classes = len(labels), len(class_names)
    if count == 0 or labels.shape != (count,) or probs.shape != (count, num_classes):
        raise ValueError(
            f"probs {probs.shape}, labels {labels.shape} and {num_classes} class names don't match, "
            "or there is nothing to judge"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}")
    answers = probs.argmax(axis=1)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    correct = int(confusion.trace())
    of_truth = probs[np.arange(count), labels].astype(np.float64)
    return Evaluation(
        num_photos=count,
        top1=correct / count,
        top1_interval=wilson_interval(correct, count),
        top5=_top_k(probs, labels, 5) if num_classes > 5 else None,
        log_loss=float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()),
        classes=_class_scores(confusion, class_names),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        calibration=calibration(probs, labels),
    )


def wilson_interval(successes: int, trials: int, z: float = _Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson, 1927): honest near 0 and 1 and for few trials.

    Args:
        successes: in [0, trials].
        trials: at least 1.
        z: how wide, in standard deviations; the default gives 95 %.

    Raises:
        ValueError: trials is below 1, or successes out of range.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share; expected 0 <= successes <= trials, trials >= 1")
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    margin = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return (  # at the ends it is these numbers exactly, but for rounding
        0.0 if successes == 0 else centre - margin,
        1.0 if successes == trials else centre + margin,
    )


def _top_k(probs: npt.NDArray[Any], labels: npt.NDArray[Any], k: int) -> float:
    best = np.argpartition(probs, -k, axis=1)[:, -k:]
    return float((best == labels[:, None]).any(axis=1).mean())


def _class_scores(confusion: npt.NDArray[np.int64], class_names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    found, answered, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    return tuple(
        ClassScore(
            name=name,
            precision=_share(found[k], answered[k]),
            recall=_share(found[k], support[k]),
            f1=_share(2 * found[k], answered[k] + support[k]),
            support=int(support[k]),
        )
        for k, name in enumerate(class_names)
    )


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan
