"""How long work tells how far it is, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``, at most a few hundred times a stage."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
