"""What a guide is worth, in three sentences that ask for no knowledge of the field."""

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate import Evaluation, wilson_interval

SURE = 0.9  # probability from which an answer is called sure
_SURE_SAID = f"{100 * SURE:.0f} %"


def verdict(evaluation: Evaluation, probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> list[str]:
    """Return how many answers are right, what is confused, and when to believe it.

    Args:
        evaluation: of the answers.
        probs: (N, K) the answers.
        labels: (N,) the truth.
    """
    return [_how_good(evaluation), _what_is_confused(evaluation), _when_to_believe(probs, labels)]


def without_evidence(num_photos: int, num_classes: int) -> list[str]:
    """Return what can be said of a guide that was asked about no photo."""
    return [
        "How good this guide is, nobody knows yet: no photo was kept aside to ask it about.",
        f"It learnt from {num_photos} photos of {num_classes} classes.",
        "Add photos and train it anew, or evaluate it on others, before you rely on it.",
    ]


def in_hundred(share: float) -> str:
    """Return a share as a number of 100, and never as all or none of them where it is not."""
    return str(min(99, max(1, round(100 * share)))) if 0 < share < 1 else f"{100 * share:.0f}"


def _how_good(evaluation: Evaluation) -> str:
    low, high = (in_hundred(share) for share in evaluation.top1_interval)
    return (
        f"Of 100 new photos like these it names about {in_hundred(evaluation.top1)} rightly; it was asked about "
        f"{evaluation.num_photos}, after which anything from {low} to {high} is plausible."
    )


def _what_is_confused(evaluation: Evaluation) -> str:
    confusion = np.array(evaluation.confusion)
    asked = [score for score in evaluation.classes if score.support]
    best = max(asked, key=lambda score: (score.recall, score.support))
    known = f"it knows {best.name} best ({round(best.recall * best.support)} of {best.support} right)"
    np.fill_diagonal(confusion, 0)
    if not confusion.any():
        return "It made no mistake among them."
    true, answer = np.unravel_index(confusion.argmax(), confusion.shape)
    count, of = int(confusion.max()), evaluation.classes[true]
    return (
        f"Most often it takes {of.name} for {evaluation.classes[answer].name} ({count} of {of.support} photos); "
        f"{known}."
    )


def _when_to_believe(probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> str:
    surest = probs.max(axis=1)
    sure = surest >= SURE
    if not sure.any():
        return f"It was never {_SURE_SAID} sure: take its answers as suggestions, and look at each photo yourself."
    count, right = int(sure.sum()), int((probs.argmax(axis=1) == labels)[sure].sum())
    believed = (
        f"It is at least {_SURE_SAID} sure of {in_hundred(float(sure.mean()))} of 100 photos, and of those it"
    )
    if wilson_interval(right, count)[1] < surest[sure].mean():
        return f"{believed} named only {right} of {count} rightly: it is surer than it should be."
    others = "" if sure.all() else "; look at the others yourself"
    return f"{believed} named {right} of {count} rightly{others}."
