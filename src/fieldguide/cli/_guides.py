"""What evaluate and predict share: the guide that answers, or several together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fieldguide.ensembles import Ensemble
    from fieldguide.guide import Guide

OtherGuides = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        help="Another guide to the same classes, to answer together: by the mean of probabilities. Repeatable.",
        show_default=False,
    ),
]


def load_guides(guide: Path, others: list[Path] | None, engine: str) -> "Guide | Ensemble":
    """Load the guide that answers, or the ensemble of several."""
    from fieldguide.ensembles import ensemble
    from fieldguide.guide import load

    return ensemble([guide, *others], engine=engine) if others else load(guide, engine=engine)


def print_cache_faults(answering: "Guide | Ensemble") -> None:
    """Say why features could not be kept: once, for their cache is one."""
    from fieldguide.cli._console import print_cache_fault
    from fieldguide.guide import Guide

    guides = (answering,) if isinstance(answering, Guide) else answering.guides
    print_cache_fault(next((g.embedder.cache.fault for g in guides if g.embedder.cache.fault), None))
