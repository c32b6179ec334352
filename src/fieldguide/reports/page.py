"""The report of one guide: a page that needs nothing beside it."""

import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fieldguide.errors import FieldguideWarning
from fieldguide.evaluate import evaluate
from fieldguide.guide import Guide
from fieldguide.pages import render
from fieldguide.pages.thumbnails import Room, thumbnail
from fieldguide.progress import Progress, silent
from fieldguide.reports.album import Album
from fieldguide.reports.belief import called_unknown, reliability, sets_of_classes, unknowns
from fieldguide.reports.classes import class_rows, confusions
from fieldguide.reports.colours import class_colours
from fieldguide.reports.costs import costs
from fieldguide.reports.evidence import Evidence
from fieldguide.reports.learning import learning
from fieldguide.reports.mistakes import worst_mistakes
from fieldguide.reports.photo_map import photo_map
from fieldguide.reports.told import Told, ToldCase, told_by
from fieldguide.reports.verdict import guessing, verdict, without_evidence
from fieldguide.words import listed

REPORT = "report.html"
MOST_CHARACTERS = 4_300_000  # of all pictures: the page stays below 5 MB
_FINDINGS, _CASES, _PHOTOS = 30, 6, 4  # at most; of each finding; of each case
_SIDE_PX = 144
_NAMED = 6  # classes, in the title; of more it says how many


def to_page(guide: Guide, evidence: Evidence, on_progress: Progress = silent) -> bytes:
    """Return the report of a guide, HTML in UTF-8, below 5 MB.

    Args:
        guide: whose facts are told.
        evidence: the photos to show, and to judge it by.
        on_progress: called as sections are done.
    """
    sections = _sections(guide, evidence, on_progress)
    facts: dict[str, Any] = {}
    for done, (name, make) in enumerate(sections.items()):
        on_progress("report", done, len(sections))
        facts[name] = make()
    on_progress("report", len(sections), len(sections))
    return render("report.html", facts)


def _sections(guide: Guide, evidence: Evidence, on_progress: Progress) -> dict[str, Callable[[], Any]]:
    """Return what makes each section's facts, in the order in which they are given room for pictures."""
    room = Room(MOST_CHARACTERS)
    album = Album(room)
    told, class_names, asked = told_by(guide), guide.class_names, evidence.asked
    probs = guide.head.probs(asked.features) if len(asked) else np.zeros((0, len(class_names)), np.float32)
    is_unknown = called_unknown(guide, asked)
    sections: dict[str, Callable[[], Any]] = {
        "told": lambda: told,
        "photos_path": lambda: shlex.quote(told.data_name) if told.data_name else "PHOTOS",
        "title": lambda: _title(class_names),
        "evidence": lambda: evidence,
        "num_asked": lambda: len(asked),
        "backbone": lambda: guide.backbone,
        "classes": lambda: _classes(class_names),
        "num_learnt": lambda: len(guide.seen) if told.num_train is None else told.num_train - told.num_judged_by,
        "findings": lambda: _findings(told, evidence, room),
        "cost": lambda: costs([guide], asked if len(asked) else evidence.known)[0],
        "learning": lambda: learning(guide, told, evidence, on_progress),
        "mistakes": lambda: worst_mistakes(guide, evidence, probs, is_unknown, room),
    }
    if len(asked):
        found = evaluate(probs, asked.labels, class_names)
        sections |= {
            "verdict": lambda: verdict(found, probs, asked.labels, is_unknown),
            "evaluation": lambda: found,
            "guessing": lambda: guessing(found),
            "rows": lambda: class_rows(found, told.num_learnt),
            "confusion": lambda: confusions(found, asked, probs, album),
            "reliability": lambda: reliability(guide, probs, asked.labels),
            "sets": lambda: sets_of_classes(guide, probs, asked.labels),
            "unknown": lambda: unknowns(guide, asked, probs, album),
        }
    else:
        sections |= {
            "verdict": lambda: without_evidence(len(guide.seen), len(class_names)),
            "evaluation": lambda: None,
        }
    return sections | {"map": lambda: photo_map(evidence, probs, album), "album": album.develop}


def _title(class_names: Sequence[str]) -> str:
    is_short = len(class_names) <= _NAMED
    return f"A guide to {listed(class_names, _NAMED) if is_short else f'{len(class_names)} classes'}"


def _classes(class_names: Sequence[str]) -> list[dict[str, str]]:
    colours = class_colours(len(class_names))
    return [{"name": name, "colour": colour} for name, colour in zip(class_names, colours, strict=True)]


def with_report(guide: Guide, evidence: Evidence, on_progress: Progress = silent) -> Guide:
    """Return the guide with its report among its records, as :func:`to_page` makes it.

    Whatever goes wrong with the report is a warning: a guide that took hours is not lost to it.
    """
    try:
        page = to_page(guide, evidence, on_progress)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        warnings.warn(f"the report could not be made: {reason}", FieldguideWarning, stacklevel=2)
        return guide
    return replace(guide, records={**guide.records, REPORT: page})


def _findings(told: Told, evidence: Evidence, room: Room) -> list[dict[str, Any]]:
    """Return what training found in its photos, with small pictures of them."""
    shown = [(finding, finding.cases[:_CASES]) for finding in told.findings[:_FINDINGS]]
    names = [name for _, cases in shown for case in cases for name in case.photos[:_PHOTOS]]
    places = evidence.find(names)

    def photo(name: str) -> dict[str, str]:
        picture = thumbnail(evidence.images, places[name], _SIDE_PX) if name in places else ""
        return {"name": name, "thumbnail": room.take(picture)}

    return [
        {
            "severity": finding.severity,
            "summary": finding.summary,
            "meaning": finding.meaning,
            "num_more": max(0, finding.num_cases - len(cases)),
            "cases": [
                {"photos": [photo(name) for name in case.photos[:_PHOTOS]], "evidence": _evidence(case)}
                for case in cases
            ],
        }
        for finding, cases in shown
    ]


def _evidence(case: ToldCase) -> str:
    more = len(case.photos) - _PHOTOS
    return f"{case.evidence} (and {more} more)" if more > 0 else case.evidence
