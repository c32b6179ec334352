"""The report of one guide: a page that needs nothing beside it."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate import Evaluation, evaluate
from fieldguide.guide import Guide
from fieldguide.pages import render
from fieldguide.pages.thumbnails import Room, thumbnail
from fieldguide.progress import Progress, silent
from fieldguide.reports.album import Album
from fieldguide.reports.belief import reliability, sets_of_classes, unknowns
from fieldguide.reports.classes import class_rows, confusions
from fieldguide.reports.colours import class_colours
from fieldguide.reports.costs import costs
from fieldguide.reports.evidence import Evidence
from fieldguide.reports.learning import learning
from fieldguide.reports.mistakes import worst_mistakes
from fieldguide.reports.photo_map import photo_map
from fieldguide.reports.verdict import in_hundred, verdict, without_evidence

REPORT = "report.html"
MOST_CHARACTERS = 4_300_000  # of all pictures: the page stays below 5 MB
_CASES, _PHOTOS = 6, 4  # of each finding, of each case
_SIDE_PX = 144


@dataclass(frozen=True)
class _Asked:
    """What came of asking about photos."""

    probs: npt.NDArray[np.float32]
    evaluation: Evaluation


def to_page(guide: Guide, evidence: Evidence, on_progress: Progress = silent) -> bytes:
    """Return the report of a guide, HTML in UTF-8, below 5 MB.

    Args:
        guide: whose facts are told.
        evidence: the photos to show, and to judge it by.
        on_progress: called as photos are done.
    """
    room = Room(MOST_CHARACTERS)
    album = Album(room)
    data = guide.facts.get("data", {})
    facts: dict[str, Any] = {
        "name": title_of(guide),
        "classes": [
            {"name": name, "colour": colour}
            for name, colour in zip(guide.class_names, class_colours(len(guide.class_names)), strict=True)
        ],
        "num_learnt": data.get("num_train", len(guide.seen)),
        "findings": _findings(guide, evidence, room),
        "learning": learning(guide, evidence),
        "cost": costs([guide], evidence.asked if len(evidence.asked) else evidence.known)[0],
        "making": _making(guide),
    }
    asked = _ask(guide, evidence)
    facts |= _of_asked(guide, evidence, asked, room, album) if asked else _of_none(guide, evidence, album)
    return render("report.html", {**facts, "album": album.develop(on_progress), "in_hundred": in_hundred})


def title_of(guide: Guide) -> str:
    """Return what to call a guide's photos: their name, without the folders around it."""
    return PurePath(str(guide.facts.get("data", {}).get("name", "photos"))).name


def with_report(guide: Guide, evidence: Evidence, on_progress: Progress = silent) -> Guide:
    """Return the guide with its report among its records, as :func:`to_page` makes it."""
    return replace(guide, records={**guide.records, REPORT: to_page(guide, evidence, on_progress)})


def _ask(guide: Guide, evidence: Evidence) -> _Asked | None:
    """Ask about the photos that were not learnt from, if there are any."""
    if not len(evidence.asked):
        return None
    probs = guide.head.probs(evidence.asked.features)
    return _Asked(probs, evaluate(probs, evidence.asked.labels, guide.class_names))


def _of_asked(guide: Guide, evidence: Evidence, asked: _Asked, room: Room, album: Album) -> dict[str, Any]:
    """Return what the answers tell."""
    probs, evaluation, labels = asked.probs, asked.evaluation, evidence.asked.labels
    photos = guide.facts.get("data", {}).get("photos", {})
    most_common = max(score.support for score in evaluation.classes) / evaluation.num_photos
    return {
        "verdict": verdict(evaluation, probs, labels),
        "evaluation": evaluation,
        "guessing": most_common,
        "mistakes": worst_mistakes(guide, evidence, probs, room),
        "rows": class_rows(evaluation, {name: counts["train"] for name, counts in photos.items()}),
        "confusion": confusions(evaluation, evidence.asked, probs, album),
        "reliability": reliability(guide, probs, labels),
        "sets": sets_of_classes(guide, probs, labels),
        "unknown": unknowns(guide, evidence.asked, probs, album),
        "map": photo_map(evidence, probs, album),
    }


def _of_none(guide: Guide, evidence: Evidence, album: Album) -> dict[str, Any]:
    """Return what can be told where no photo was asked about."""
    no_probs = np.zeros((0, len(guide.class_names)), np.float32)
    return {
        "verdict": without_evidence(len(guide.seen), len(guide.class_names)),
        "evaluation": None,
        "mistakes": [],
        "map": photo_map(evidence, no_probs, album),
    }


def _findings(guide: Guide, evidence: Evidence, room: Room) -> list[dict[str, Any]]:
    """Return what training found in its photos, with small pictures of them."""
    told: Sequence[Mapping[str, Any]] = guide.facts.get("doctor", ())
    shown = [(finding, finding["cases"][:_CASES]) for finding in told]
    names = [name for _, cases in shown for case in cases for name in case["photos"][:_PHOTOS]]
    places = evidence.find(names)

    def photo(name: str) -> dict[str, str]:
        picture = thumbnail(*places[name], _SIDE_PX) if name in places else ""
        return {"name": name, "thumbnail": room.take(picture)}

    return [
        {
            "severity": finding["severity"],
            "summary": finding["summary"],
            "meaning": finding["meaning"],
            "num_more": finding["num_cases"] - len(cases),
            "cases": [
                {"photos": [photo(name) for name in case["photos"][:_PHOTOS]], "evidence": case["evidence"]}
                for case in cases
            ],
        }
        for finding, cases in shown
    ]


def _making(guide: Guide) -> dict[str, Any]:
    """Return how the guide was made."""
    facts, backbone = guide.facts, guide.backbone
    created = facts.get("created")
    return {
        "command": facts.get("command", ""),
        "network": backbone.name,
        "size_px": backbone.preprocess.size_px,
        "fit": backbone.preprocess.fit,
        "created": datetime.datetime.fromisoformat(created).strftime("%d %B %Y, %H:%M UTC") if created else "",
        "version": facts.get("fieldguide_version", ""),
        "versions": facts.get("versions", {}),
        "data": facts.get("data", {}),
        "seconds": facts.get("training", {}).get("seconds"),
        "kind": facts.get("training", {}).get("kind", "on frozen features"),
    }
