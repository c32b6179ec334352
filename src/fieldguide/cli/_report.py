"""How an evaluation is printed; train and evaluate share it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fieldguide.cli._console import percent, print_table, terminal_width
from fieldguide.evaluate import Evaluation

_MATRIX_CLASSES = 20  # more make a matrix nobody reads; the pairs most often confused stand in for it
_CONFUSED_PAIRS = 15


def print_evaluation(evaluation: Evaluation) -> None:
    """Print accuracy, per-class scores and the confusion matrix."""
    print_metrics(evaluation.to_dict())
    print()
    print_table(
        ("class", "precision", "recall", "F1", "photos"),
        [(c.name, percent(c.precision), percent(c.recall), percent(c.f1), c.support) for c in evaluation.classes],
    )
    _print_confusion(evaluation)


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print an evaluation's main numbers, as a guide's facts keep them."""
    low, high = metrics["top1_interval"]
    print(f"top-1     {percent(metrics['top1'])}  (95 % interval {percent(low)} to {percent(high)})")
    if metrics["top5"] is not None:
        print(f"top-5     {percent(metrics['top5'])}")
    print(f"log loss  {metrics['log_loss']:.3f}")
    if "calibration" in metrics:  # guides made before have none
        error, by_chance = metrics["calibration"]["error"], metrics["calibration"]["error_by_chance"]
        print(f"probabilities are off by {percent(error)} on average ({percent(by_chance)} by chance alone)")
    print(f"photos    {metrics['num_photos']}")


def _print_confusion(evaluation: Evaluation) -> None:
    names = [c.name for c in evaluation.classes]
    counts = np.array(evaluation.confusion)
    if len(names) <= _MATRIX_CLASSES and _matrix_width(names) <= (terminal_width() or math.inf):
        print_table(
            ("true \\ predicted", *names),
            [(name, *(n or "." for n in row)) for name, row in zip(names, counts, strict=True)],
        )
        return
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_CONFUSED_PAIRS]
    pairs = [divmod(int(place), len(names)) for place in order if counts.flat[place]]
    print_table(
        ("true (most often confused)", "predicted", "photos"),
        [(names[truth], names[answer], counts[truth, answer]) for truth, answer in pairs],
    )


def _matrix_width(names: list[str]) -> int:
    """Return the columns that the confusion matrix takes at least: names, and three between them."""
    return max(map(len, names)) + sum(len(name) + 3 for name in names)
