"""Several guides to the same classes, asked about the same photos: which is really better?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.errors import DataError
from fieldguide.evaluate import Evaluation, evaluate
from fieldguide.evaluate.paired import PairedTest, holm, paired_test
from fieldguide.guide import Guide
from fieldguide.pages import render
from fieldguide.pages.thumbnails import Room
from fieldguide.reports.album import Album
from fieldguide.reports.belief import called_unknown
from fieldguide.reports.costs import costs
from fieldguide.reports.evidence import Evidence, Sample
from fieldguide.reports.page import MOST_CHARACTERS
from fieldguide.reports.verdict import SURE
from fieldguide.words import in_hundred

_SHOWN = 18  # photos that one guide alone has right


@dataclass(frozen=True)
class Contender:
    """A guide, and how it did.

    Args:
        name: to call it by.
        guide: itself.
        asked: N photos, with its own features, and labels in the order of the first guide's classes.
        probs: (N, K) its answers, in the order of the first guide's classes.
        evaluation: of these.
        right: (N,) which of them are right.
    """

    name: str
    guide: Guide
    asked: Sample
    probs: npt.NDArray[np.float32]
    evaluation: Evaluation
    right: npt.NDArray[np.bool_]


def compare_page(guides: Sequence[Guide], names: Sequence[str], evidence: Sequence[Evidence]) -> bytes:
    """Return guides side by side, HTML in UTF-8, below 5 MB.

    Args:
        guides: two or more, to the same classes.
        names: of these.
        evidence: of each: the photos asked about are the same.

    Raises:
        DataError: they have learnt from all the photos between them.
    """
    contenders = _ask(guides, names, [each.asked for each in evidence])
    best = sorted(contenders, key=lambda each: -each.evaluation.top1)
    pairs = list(combinations(best, 2))
    tests = [paired_test(one.right, other.right) for one, other in pairs]
    better = holm(tests)
    album = Album(Room(MOST_CHARACTERS))
    own_costs = costs(guides, evidence[0].asked)
    class_names = guides[0].class_names
    facts = {
        "name": evidence[0].title,
        "verdict": _verdict(best, tests[0], better[0] is not None),
        "rows": [_row(one, cost) for one, cost in zip(contenders, own_costs, strict=True)],
        "tests": [_told(pair, test, which) for pair, test, which in zip(pairs, tests, better, strict=True)],
        "classes": _by_class(contenders),
        "differences": [_only_right(best[0], best[1], album), _only_right(best[1], best[0], album)],
        "num_photos": len(evidence[0].asked),
        "sure_from": SURE,
        "class_names": class_names,
    }
    return render("side_by_side.html", {**facts, "album": album.develop()})


def check_classes(guides: Sequence[Guide], names: Sequence[str]) -> None:
    """Refuse guides to other classes.

    Raises:
        DataError: with a class that one of them does not know.
    """
    for guide, name in zip(guides, names, strict=True):
        strange = sorted(set(guide.class_names) ^ set(guides[0].class_names))
        if strange:
            raise DataError(
                f"{name} and {names[0]} are guides to other classes: {strange[0]!r} is known to one of them "
                "alone; report on guides to the same classes"
            )


def _ask(guides: Sequence[Guide], names: Sequence[str], asked: Sequence[Sample]) -> list[Contender]:
    """Ask all guides about the photos."""
    if not len(asked[0]):
        raise DataError(
            f"{asked[0].images.name} leaves no photo to compare guides by: each was learnt from by one of them, "
            "or can't be used; pass photos that are new to all"
        )
    class_names, labels, contenders = guides[0].class_names, asked[0].labels, []
    for guide, name, own in zip(guides, names, asked, strict=True):
        order = [guide.class_names.index(known) for known in class_names]
        probs = guide.head.probs(own.features)[:, order]
        right = probs.argmax(axis=1) == labels
        found = evaluate(probs, labels, class_names)
        contenders.append(Contender(name, guide, replace(own, labels=labels), probs, found, right))
    return contenders


def _verdict(best: Sequence[Contender], test: PairedTest, is_better: bool) -> list[str]:
    """Return which guide is better, and whether the test of the best two says that this is more than chance."""
    first, second = best[:2]
    shares = ", ".join(f"{each.name} {in_hundred(each.evaluation.top1)}" for each in best)
    others = " of the best two" if len(best) > 2 else ""
    if not test.only_first + test.only_second:
        conclusion = (
            f"{first.name} and {second.name}{others} are right and wrong about the very same photos: take "
            "whichever is smaller or faster."
        )
    elif not is_better:
        conclusion = (
            f"Which{others} is better can't be told: {_alone(first, second, test)}, which may well be chance. "
            "Take whichever is smaller or faster, or ask them about more photos."
        )
    else:
        conclusion = (
            f"{first.name} is better than {second.name} by more than chance: {_alone(first, second, test)}."
        )
    return [f"Of 100 new photos each names rightly: {shares}.", conclusion]


def _alone(first: Contender, second: Contender, test: PairedTest) -> str:
    return (
        f"{test.only_first} of the {len(first.right)} photos only {first.name} names rightly, {test.only_second} "
        f"only {second.name}"
    )


def _row(one: Contender, cost: dict[str, Any]) -> dict[str, Any]:
    is_unknown = called_unknown(one.guide, one.asked)
    sure = (one.probs.max(axis=1) >= SURE) & ~is_unknown
    return {
        "name": one.name,
        "network": f"{one.guide.backbone.name}, {one.guide.backbone.preprocess.size_px} px",
        "evaluation": one.evaluation,
        "sure": float(sure.mean()),
        "sure_right": float(one.right[sure].mean()) if sure.any() else None,
        "unknown": None if one.guide.trust is None else float(is_unknown.mean()),
        "cost": cost,
    }


def _told(pair: tuple[Contender, Contender], test: PairedTest, better: int | None) -> dict[str, Any]:
    return {
        "first": pair[0].name,
        "second": pair[1].name,
        "only_first": test.only_first,
        "only_second": test.only_second,
        "p_value": test.p_value,
        "better": None if better is None else pair[better].name,
    }


def _by_class(contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """Return the share of each class that each guide names rightly."""
    scores = zip(*(each.evaluation.classes for each in contenders), strict=True)
    rows = [
        {"name": own[0].name, "support": own[0].support, "recalls": [score.recall for score in own]}
        for own in scores
    ]
    return [row for row in rows if row["support"]]


def _only_right(one: Contender, other: Contender, album: Album) -> dict[str, Any]:
    """Return photos that one guide alone has right, the surest mistakes of the other first."""
    rows = np.flatnonzero(one.right & ~other.right)
    worst = rows[np.argsort(-other.probs[rows].max(axis=1), kind="stable")][:_SHOWN]
    return {
        "first": one.name,
        "second": other.name,
        "count": len(rows),
        "photos": [album.add(other.asked, row, probs=other.probs[row]) for row in worst.tolist()],
    }
