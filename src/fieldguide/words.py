"""Numbers and names as people say them."""

from collections.abc import Sequence
from pathlib import PurePath


def in_hundred(share: float) -> str:
    """Return a share as a number of 100, and never as all or none of them where it is not."""
    return str(min(99, max(1, round(100 * share)))) if 0 < share < 1 else f"{100 * share:.0f}"


def set_name(name: str) -> str:
    """Return what to call a set of photos: its name, without the folders around it."""
    return PurePath(name).name or "photos"


def listed(names: Sequence[str], at_most: int = 3, *, of_more: str = "other classes") -> str:
    """Return names as a sentence lists them, such as "cat, dog and 3 other classes".

    Args:
        names: one or more.
        at_most: that are named, where there are more.
        of_more: what the others are.
    """
    more = [f"{len(names) - at_most} {of_more}"] if len(names) > at_most else []
    *first, last = [*names[:at_most], *more]
    return f"{', '.join(first)} and {last}" if first else last
