"""How an evaluation is printed; train and evaluate share it."""

import numpy as np

from fieldguide.cli._console import percent, print_line, print_table
from fieldguide.evaluate import Evaluation

_MATRIX_CLASSES = 20  # more make a matrix nobody reads; the pairs most often confused stand in for it
_CONFUSED_PAIRS = 15


def print_evaluation(evaluation: Evaluation) -> None:
    """Print accuracy, scores a class and what is taken for what."""
    low, high = evaluation.top1_interval
    print_line(f"top-1     {percent(evaluation.top1)}  (95 % interval {percent(low)} to {percent(high)})")
    if evaluation.top5 is not None:
        print_line(f"top-5     {percent(evaluation.top5)}")
    print_line(f"log loss  {evaluation.log_loss:.3f}")
    print_line(f"photos    {evaluation.num_photos}")
    print_line()
    print_table(
        ("class", "precision", "recall", "F1", "photos"),
        [(c.name, percent(c.precision), percent(c.recall), percent(c.f1), c.support) for c in evaluation.classes],
    )
    _print_confusion(evaluation)


def _print_confusion(evaluation: Evaluation) -> None:
    names = [c.name for c in evaluation.classes]
    counts = np.array(evaluation.confusion)
    if len(names) <= _MATRIX_CLASSES:
        print_table(
            ("shown, by row / said, by column", *names),
            [(name, *(n or "." for n in row)) for name, row in zip(names, counts, strict=True)],
        )
        return
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_CONFUSED_PAIRS]
    pairs = [divmod(int(place), len(names)) for place in order if counts.flat[place]]
    print_table(
        ("most often confused: shown", "said", "photos"),
        [(names[truth], names[answer], counts[truth, answer]) for truth, answer in pairs],
    )
