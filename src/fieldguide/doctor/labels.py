"""Labels that other photos contradict, and classes that can't be told apart."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fieldguide.data.exclusions import EXCLUDE
from fieldguide.doctor.finding import Case, Finding, found, percent
from fieldguide.evaluate import wilson_interval

LEAST_A_CLASS = 4  # photos, for heads that learn from some and are asked about others
_SURE = 0.55  # by how much another class must be more probable
_TOLD_APART = 0.8  # share of right answers between two classes, below which they hardly are
_LEAST_OTHERS = 4  # photos of a class beside a picture's copies, for a head to know the class by
_LEAST_SHOWN = 0.01  # of a share in whole per cent

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def can_be_asked(labels: Labels, num_classes: int) -> npt.NDArray[np.bool_]:
    """Say of each photo whether its class has photos enough to learn from some and ask about others."""
    enough: npt.NDArray[np.bool_] = np.bincount(labels, minlength=num_classes)[labels] >= LEAST_A_CLASS
    return enough


def find_wrong_labels(
    photos: Labels, probs: Floats, labels: Labels, class_names: Sequence[str]
) -> Iterator[Finding]:
    """Find labels that photos contradict: another class is more probable by more than half.

    The margin is what confident learning orders by (Northcutt et al., 2021, https://arxiv.org/abs/1911.00068,
    section 3.2); a fixed one finds more than its thresholds by class do (benchmarks/doctor.py).

    Args:
        photos: (N,) which of the set's photos these are.
        probs: (N, K) by heads that have not learnt from them.
        labels: (N,) as they stand.
        class_names: (K,).
    """
    better = probs.argmax(axis=1)
    rows = np.arange(len(labels))
    margins = probs[rows, better] - probs[rows, labels]
    cases = [
        Case(
            (int(photos[row]),),
            f"is under {class_names[labels[row]]}, "
            + looks_like(class_names, probs[row], int(better[row]), int(labels[row])),
            float(margins[row]),
        )
        for row in np.flatnonzero(margins > _SURE).tolist()
    ]
    share = percent(len(cases) / max(1, len(labels)))
    what = "1 label is" if len(cases) == 1 else f"{len(cases)} labels are"
    yield from found("wrong label", cases, f"{what} contradicted by other photos ({share} of {len(labels)})")


def with_right_labels(
    findings: Iterable[Finding], photos: Labels, probs: Floats, labels: Labels, class_names: Sequence[str]
) -> Iterator[Finding]:
    """Yield findings, and with a picture under two labels which copy to keep, where other photos decide that.

    Mostly one of the labels is wrong: it takes less to tell which than to doubt the label of just any photo.

    Args:
        findings: of all kinds.
        photos: (M,) photos that were asked about.
        probs: (M, K) by heads that have not learnt from them, nor from their copies.
        labels: (N,) of all photos of the set.
        class_names: (K,).
    """
    rows = {photo: row for row, photo in enumerate(photos.tolist())}
    counts = np.bincount(labels[photos], minlength=len(class_names))
    for finding in findings:
        if finding.kind.name == "two labels":
            cases = [
                _with_right_label(case, rows, probs, labels, class_names)
                if _are_known(case, labels, counts)
                else case
                for case in finding.cases
            ]
            yield replace(finding, cases=tuple(cases))
        else:
            yield finding


def _with_right_label(
    case: Case, rows: Mapping[int, int], probs: Floats, labels: Labels, class_names: Sequence[str]
) -> Case:
    """Put a copy under the right label first, to be kept, where one label is more probable by more than half."""
    asked = [rows[photo] for photo in case.photos if photo in rows]
    if not asked:
        return case
    mean = probs[asked].mean(axis=0)
    best, second, *_ = sorted({int(labels[photo]) for photo in case.photos}, key=lambda label: -mean[label])
    if mean[best] - mean[second] <= _SURE:
        return case
    ordered = sorted(case.photos, key=lambda photo: labels[photo] != best)
    evidence = f"{case.evidence}; {looks_like(class_names, mean, best, second)}"
    return replace(case, photos=tuple(ordered), evidence=evidence, keeps_first=True, action=EXCLUDE)


def _are_known(case: Case, labels: Labels, counts: Labels) -> bool:
    """Whether other photos show what each label of a case means."""
    own = Counter(labels[list(case.photos)].tolist())
    return all(counts[label] - count >= _LEAST_OTHERS for label, count in own.items())


def looks_like(class_names: Sequence[str], probs: Floats, one: int, other: int) -> str:
    """Return ``looks like tulips (98 %), not roses (2 %)``, by the probabilities (K,) of a photo."""
    return (
        f"looks like {class_names[one]} ({_whole(probs[one])}), not {class_names[other]} ({_whole(probs[other])})"
    )


def _whole(share: float) -> str:
    """Return a share in whole per cent, that is never all or nothing."""
    if share < _LEAST_SHOWN:
        return "below 1 %"
    return "over 99 %" if share > 1 - _LEAST_SHOWN else f"{100 * share:.0f} %"


def find_alike_classes(probs: Floats, labels: Labels, class_names: Sequence[str]) -> Iterator[Finding]:
    """Find pairs of classes whose photos are taken for each other.

    Args:
        probs: (N, K) by heads that have not learnt from these photos.
        labels: (N,).
        class_names: (K,).
    """
    answers = probs.argmax(axis=1)
    confusion = np.zeros((len(class_names),) * 2, np.int64)
    np.add.at(confusion, (labels, answers), 1)
    taken = np.triu(confusion + confusion.T, 1)
    cases = []
    for a, b in np.argwhere(taken).tolist():
        right, wrong = int(confusion[a, a] + confusion[b, b]), int(taken[a, b])
        if wilson_interval(right, right + wrong)[1] < _TOLD_APART:
            evidence = (
                f"{class_names[a]} and {class_names[b]}: {wrong} of {right + wrong} photos taken for the other"
            )
            cases.append(Case((), evidence, wrong / (right + wrong)))
    pairs = "1 pair" if len(cases) == 1 else f"{len(cases)} pairs"
    yield from found("alike classes", cases, f"{pairs} of classes can't be told apart")
