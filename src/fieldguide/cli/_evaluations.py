"""How an evaluation is printed; train and evaluate share it."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fieldguide.cli._console import percent, print_table, terminal_width
from fieldguide.evaluate import Evaluation

if TYPE_CHECKING:
    from fieldguide.weak_spots import Slice, SpoiltTrial

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


def print_slices(slices: "Sequence[Slice]") -> None:
    """Print accuracy by kinds of photos, the weak ones marked."""
    if not slices:
        return
    rows = [
        (
            f"{s.measure}: {s.part}",
            percent(s.top1),
            _interval(s.top1_interval),
            s.num_photos,
            "weak" if s.is_weak else "",
        )
        for s in slices
    ]
    print_table(("photos", "top-1", "95 % interval", "photos", ""), rows)


def print_robustness(trials: "Sequence[SpoiltTrial]") -> None:
    """Print accuracy on spoilt photos, a row for each way and a column for each strength."""
    if not trials:
        return
    ways = dict.fromkeys(trial.corruption for trial in trials)
    rows = [(way, *(percent(trial.top1) for trial in trials if trial.corruption == way)) for way in ways]
    print_table(("spoilt by", *(f"strength {number}" for number in range(1, len(rows[0])))), rows)


def _interval(interval: tuple[float, float]) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


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
