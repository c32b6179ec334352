"""The photos that a page shows when it is asked to: each once, as many as there is room for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.embed.embedder import in_threads
from fieldguide.pages.thumbnails import Room, thumbnail
from fieldguide.reports.evidence import Sample
from fieldguide.words import in_hundred

SMALL_PX, LARGE_PX = 72, 144
_AHEAD = 64  # pictures made before they are asked for


@dataclass
class _Entry:
    sample: Sample
    row: int
    side_px: int
    answer: int | None
    percent: str | None


class Album:
    """Photos by number.

    Args:
        room: what pictures may take.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._numbers: dict[tuple[int, int], int] = {}
        self._entries: list[_Entry] = []

    def add(
        self, sample: Sample, row: int, *, probs: npt.NDArray[np.float32] | None = None, side_px: int = LARGE_PX
    ) -> int:
        """Return the number of a photo, which is added where it is new; the first ones find room first.

        Args:
            sample: that it is of.
            row: its place in it.
            probs: (K,) what the guide says of it; None where it was not asked.
            side_px: of its picture.
        """
        key = id(sample), row
        if key not in self._numbers:
            self._numbers[key] = len(self._entries)
            answer = None if probs is None else int(probs.argmax())
            percent = None if probs is None else in_hundred(float(probs.max()))  # as elsewhere on the page
            self._entries.append(_Entry(sample, row, side_px, answer, percent))
        return self._numbers[key]

    def develop(self) -> list[list[Any]]:
        """Return of each photo its name, class, answer, per cent and picture, as JSON holds them."""

        def develop_one(number: int) -> str:
            if self._room.is_full:
                return ""
            entry = self._entries[number]
            return thumbnail(entry.sample.images, int(entry.sample.indices[entry.row]), entry.side_px)

        count = len(self._entries)
        pictures = in_threads(develop_one, range(count), ahead=_AHEAD)
        return [
            [e.sample.names[e.row], int(e.sample.labels[e.row]), e.answer, e.percent, self._room.take(picture)]
            for e, picture in zip(self._entries, pictures, strict=True)
        ]
