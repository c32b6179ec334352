"""What a guide is worth, in three sentences that ask for no knowledge of the field."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate import Evaluation, wilson_interval
from fieldguide.words import in_hundred, listed

SURE = 0.9  # probability from which an answer is called sure
_SURE_SAID = f"{100 * SURE:.0f} %"
_VAGUE = 0.3  # width of the interval of right answers from which nobody can say how good a guide is


@dataclass(frozen=True)
class Verdict:
    """What a guide is worth.

    Args:
        sentences: three.
        is_warning: whether they say not to rely on it.
    """

    sentences: tuple[str, str, str]
    is_warning: bool = False


def verdict(
    evaluation: Evaluation,
    probs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    is_unknown: npt.NDArray[np.bool_],
) -> Verdict:
    """Return how many answers are right, what is confused, and when to believe it.

    Args:
        evaluation: of the answers.
        probs: (N, K) the answers.
        labels: (N,) the truth.
        is_unknown: (N,) which photos it calls unknown.
    """
    low, high = evaluation.top1_interval
    if high - low >= _VAGUE:
        last = "Keep more photos aside and evaluate it on them before you rely on it."
        return Verdict((_too_few(evaluation), _what_is_confused(evaluation), last), is_warning=True)
    if low <= guessing(evaluation):
        last = "Do not rely on it: train it for longer, on more photos, or on features that are known already."
        return Verdict((_no_better(evaluation), _what_is_confused(evaluation), last), is_warning=True)
    confused = f"{_what_is_confused(evaluation)[:-1]}{_what_is_known(evaluation)}."
    return Verdict((_how_good(evaluation), confused, _when_to_believe(probs, labels, is_unknown)))


def without_evidence(num_photos: int, num_classes: int) -> Verdict:
    """Return what can be said of a guide that was asked about no photo."""
    return Verdict(
        (
            "How good this guide is, nobody knows yet: no photo was kept aside to ask it about.",
            f"It learnt from {num_photos} photos of {num_classes} classes.",
            "Add photos and train it anew, or evaluate it on others, before you rely on it.",
        ),
        is_warning=True,
    )


def guessing(evaluation: Evaluation) -> float:
    """Return the share that is right of whoever always says the class that most of the photos are of."""
    return max(score.support for score in evaluation.classes) / evaluation.num_photos


def _plausible(evaluation: Evaluation) -> str:
    low, high = evaluation.top1_interval
    return f"anything from {100 * low:.0f} to {100 * high:.0f} is plausible"


def _how_good(evaluation: Evaluation) -> str:
    return (
        f"Of 100 new photos like these it names about {in_hundred(evaluation.top1)} rightly; it was asked about "
        f"{evaluation.num_photos}, after which {_plausible(evaluation)}."
    )


def _too_few(evaluation: Evaluation) -> str:
    count = evaluation.num_photos
    return (
        f"How good it is can't be told yet: it was asked about {count} photos alone, of which it named "
        f"{round(evaluation.top1 * count)} rightly, and of 100 new ones {_plausible(evaluation)}."
    )


def _no_better(evaluation: Evaluation) -> str:
    most = max(evaluation.classes, key=lambda score: score.support)
    return (
        f"It is no better than guessing: of the {evaluation.num_photos} photos that it was asked about it named "
        f"{in_hundred(evaluation.top1)} in 100 rightly, and always to say {most.name} gets "
        f"{in_hundred(guessing(evaluation))}."
    )


def _what_is_confused(evaluation: Evaluation) -> str:
    confusion = np.array(evaluation.confusion)
    np.fill_diagonal(confusion, 0)
    missing = [score.name for score in evaluation.classes if not score.support]
    unasked = f"; no photo of {listed(missing)} was among them" if missing else ""
    if not confusion.any():
        return f"It made no mistake among those {evaluation.num_photos}{unasked}."
    true, answer = np.unravel_index(confusion.argmax(), confusion.shape)
    count, of = int(confusion.max()), evaluation.classes[true]
    taken = f"it takes {of.name} for {evaluation.classes[answer].name} ({count} of {of.support} photos)"
    return f"Most often {taken}{unasked}."


def _what_is_known(evaluation: Evaluation) -> str:
    if evaluation.top1 == 1:
        return ""
    asked = [score for score in evaluation.classes if score.support]
    best = max(asked, key=lambda score: (score.recall, score.support))
    return f"; it knows {best.name} best ({round(best.recall * best.support)} of {best.support} right)"


def _when_to_believe(
    probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], is_unknown: npt.NDArray[np.bool_]
) -> str:
    surest = probs.max(axis=1)
    sure = (surest >= SURE) & ~is_unknown
    unknown = (
        f"It calls {in_hundred(float(is_unknown.mean()))} of 100 photos unknown. " if is_unknown.any() else ""
    )
    if not sure.any():
        return (
            f"{unknown}It was never {_SURE_SAID} sure: take its answers as suggestions, and look at each photo "
            "yourself."
        )
    count, right = int(sure.sum()), int((probs.argmax(axis=1) == labels)[sure].sum())
    believed = (
        f"{unknown}It is at least {_SURE_SAID} sure of {in_hundred(float(sure.mean()))} of 100 photos, and of "
        "those it"
    )
    if wilson_interval(right, count)[1] < surest[sure].mean():
        return f"{believed} named only {right} of {count} rightly: it is surer than it should be."
    others = "" if sure.all() else "; look at the others yourself"
    return f"{believed} named {right} of {count} rightly{others}."
