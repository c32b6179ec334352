"""What the subcommands print with: tables that are never cut in a file, and progress bars for terminals only."""

import contextlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from fieldguide.progress import Progress, silent

if TYPE_CHECKING:
    from fieldguide.data.image_set import SkippedPhoto

SKIPPED_NAMED = 10
_STAGES = {"report": "Making the report",
           "features": "Looking at photos", "strength": "Choosing the head's penalty", "head": "Fitting the head",
           "writing": "Writing photos", "batches": "Measuring batches", "guides": "Training guides",
           "memory": "Measuring memory", "latency": "Timing passes", "pictures": "Decoding photos",
           "steps": "Learning", "rates": "Trying rates", "looks": "Looking at photos",
           "copies": "Comparing photos", "folds": "Asking about labels", "curve": "Drawing a learning curve",
           "spoilt": "Spoiling photos"}  # fmt: skip


def print_json(facts: object) -> None:
    """Print facts as JSON."""
    print(to_json(facts, indent=2))


def to_json(facts: object, indent: int | None = None) -> str:
    """Return facts as JSON that standard output can carry: escaped where that does not speak UTF-8."""
    return json.dumps(facts, ensure_ascii=sys.stdout.encoding.lower() != "utf-8", indent=indent)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, spare: int = 0) -> None:
    """Print a table and an empty line: the first column to the left, the others, numbers, to the right.

    No cell is cut. On a terminal that is too narrow for all of them, columns are left out.

    Args:
        header: names of the columns.
        rows: as many cells each.
        spare: how many of the last columns may be left out.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[printable(str(value)) for value in row] for row in (header, *rows)]
    left_out: list[str] = []
    while len(left_out) < spare and _table_width(cells) > (terminal_width() or math.inf):
        left_out.insert(0, cells[0][-1])
        cells = [row[:-1] for row in cells]
    table: Table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(cells[0]):
        table.add_column(Text(name), justify="left" if number == 0 else "right", no_wrap=True)
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    console = Console(width=1_000_000, height=100)  # without a height, a dumb terminal has 80 columns to rich
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    print("\n".join(line for line in lines if line))
    print()
    if left_out:
        note(f"this terminal is too narrow for: {', '.join(left_out)}")


def _table_width(cells: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return sum(widths) + 3 * len(widths) - 1


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return how many columns a stream, or standard output, has; None where it is no terminal."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    try:
        own = os.get_terminal_size(stream.fileno())
    except OSError:
        own = os.terminal_size((0, 0))  # as of one that does not know
    return shutil.get_terminal_size((own.columns or 80, own.lines)).columns


def wrapped(text: str, *, hanging: int, width: int | None) -> str:
    """Return text broken at spaces into lines of a width, all but the first indented; unbroken where that is None.

    A word that is longer than a line, such as a path, stays whole, so that it can be copied.
    """
    if width is None:
        return text
    from rich.cells import cell_len

    lines, line = [], ""
    for number, word in enumerate(text.replace(" %", "\xa0%").split(" ")):  # a number stays with its unit
        longer = f"{line} {word}" if number else word
        if cell_len(longer) > width and line.strip():
            lines.append(line.rstrip())
            longer = " " * min(hanging, width // 2) + word
        line = longer
    return "\n".join([*lines, line]).replace("\xa0%", " %")


def printable(text: str) -> str:
    """Return text with its line breaks and control characters escaped: a name stays on its line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_skipped(skipped: "Sequence[SkippedPhoto]", *, at_most: int = SKIPPED_NAMED) -> None:
    """Name the photos that could not be used, so many of them, on standard error."""
    if not skipped:
        return
    print(f"{len(skipped)} {'photo' if len(skipped) == 1 else 'photos'} skipped:", file=sys.stderr)
    for photo in skipped[:at_most]:
        note(wrapped(f"  {printable(photo.name)}: {photo.reason}", hanging=4, width=terminal_width(sys.stderr)))
    if len(skipped) > at_most:
        note(f"  ... and {len(skipped) - at_most} more")


def print_cache_fault(fault: str | None) -> None:
    """Say why features could not be kept, on standard error."""
    if fault:
        note(fault)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    print(text, file=sys.stderr)


def percent(share: float | None) -> str:
    """Return a share as a percentage; a dash for one that is undefined."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give a progress function that draws bars on standard error, or does nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bar = BarColumn(complete_style="cyan", finished_style="green")
    columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeRemainingColumn())
    to_terminal = sys.stdout.isatty()  # then what is printed meanwhile goes above the bars, else where it is sent
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True, redirect_stdout=to_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
