"""What was found, as one page with the photos, that needs nothing beside it."""

import shlex
from collections import Counter
from typing import Any

from fieldguide.data import ImageSet
from fieldguide.doctor.checkup import CheckUp
from fieldguide.doctor.finding import Case, Finding, Severity
from fieldguide.pages import render
from fieldguide.pages.thumbnails import Room, thumbnail
from fieldguide.words import set_name

_CASES = 24  # of each finding
_PHOTOS = 4  # of each case
_MOST_CHARACTERS = 4_500_000  # of all thumbnails
_MEANINGS: dict[Severity, str] = {
    "high": "makes answers or the accuracy wrong; look at it first",
    "medium": "wastes photos, or more of them are needed; mend it for a better guide",
    "low": "seldom does harm, but could be better; look when there is time",
}


def to_page(checkup: CheckUp) -> bytes:
    """Return a page, HTML in UTF-8: below 5 MB, however much was found."""
    thumbnails = _Thumbnails(checkup.images)
    return render(
        "checkup.html",
        {
            "name": set_name(checkup.images.name),
            "photos_path": shlex.quote(checkup.images.name),
            "num_photos": len(checkup.images),
            "num_classes": len(checkup.images.class_names),
            "verdict": _verdict(checkup),
            "findings": [_finding(finding, thumbnails) for finding in checkup.findings],
        },
    )


def _verdict(checkup: CheckUp) -> str:
    """Say how much was found, and what the words beside it mean."""
    if not checkup.findings:
        return "Nothing was found."
    counts = Counter(finding.kind.severity for finding in checkup.findings)
    told = [f"{word.capitalize()} ({counts[word]}): {what}." for word, what in _MEANINGS.items() if counts[word]]
    return " ".join(told if counts["high"] else ["Nothing here makes answers wrong.", *told])


def _finding(finding: Finding, thumbnails: "_Thumbnails") -> dict[str, Any]:
    return {
        "severity": finding.kind.severity,
        "title": finding.kind.title,
        "summary": finding.summary,
        "meaning": finding.kind.meaning,
        "num_more": max(0, len(finding.cases) - _CASES),
        "cases": [_case(case, thumbnails) for case in finding.cases[:_CASES]],
    }


def _case(case: Case, thumbnails: "_Thumbnails") -> dict[str, Any]:
    photos = [
        {"name": thumbnails.images.photo_names[index], "thumbnail": thumbnails.of(index)}
        for index in case.photos[:_PHOTOS]
    ]
    more = len(case.photos) - len(photos)
    return {"photos": photos, "evidence": f"{case.evidence} (and {more} more)" if more else case.evidence}


class _Thumbnails:
    """Small pictures of photos, as many as there is room for."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self._made: dict[int, str] = {}
        self._room = Room(_MOST_CHARACTERS)

    def of(self, index: int) -> str:
        """Return a JPEG file in base 64; "" of a photo that can't be used, or that there is no room for."""
        if index not in self._made:
            self._made[index] = thumbnail(self.images, index)
        return self._room.take(self._made[index])
