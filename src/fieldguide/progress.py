"""Progress callbacks: long work reports how far it is, and does not know to whom."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``, at most a few hundred times per stage."""

_MOST_REPORTS = 500


def silent(stage: str, done: int, total: int) -> None:
    """Do nothing."""


def counted(items: Iterable[T], total: int, stage: str, on_progress: Progress) -> Iterator[T]:
    """Yield the items, and report how many are done."""
    step = -(-total // _MOST_REPORTS)
    for done, item in enumerate(items, 1):
        yield item
        if done % step == 0 or done == total:
            on_progress(stage, done, total)
