"""``fieldguide predict``."""

import contextlib
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._guides import OtherGuides, load_guides, print_cache_faults
from fieldguide.cli._options import AsJson, EngineName

if TYPE_CHECKING:
    from fieldguide.data import SkippedPhoto
    from fieldguide.guide import Prediction


@app.command()
def predict(
    guide: Annotated[Path, typer.Argument(help="The guide.")],
    photos: Annotated[list[str], typer.Argument(help="Photos, and folders of photos.")],
    top: Annotated[int, typer.Option(min=1, help="Classes to show per photo, the most probable first.")] = 1,
    coverage: Annotated[
        float | None,
        typer.Option(help="Show the smallest set of classes that holds the true one this often, such as 0.95."),
    ] = None,
    always_answer: Annotated[
        bool,
        typer.Option(
            "--always-answer",
            help="Name a class even where a photo is unknown: like too few of those learnt from.",
        ),
    ] = False,
    as_json: AsJson = False,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write a CSV file instead.", show_default=False)
    ] = None,
    others: OtherGuides = None,
    engine: EngineName = "auto",
) -> None:
    """Say what photos show."""
    from fieldguide.cli._console import note, print_skipped, progress_bars
    from fieldguide.data import SkippedPhoto
    from fieldguide.data.image_set import first_reasons
    from fieldguide.errors import DataError

    if as_json and csv_file is not None:
        raise typer.BadParameter(f"--json and --csv {csv_file} can't both be; choose one")
    if csv_file is not None and str(csv_file) != "-" and csv_file.suffix.lower() != ".csv":
        # A photo or a guide's file, named here by mistake, would be lost.
        raise typer.BadParameter(f"--csv {csv_file}: the name must end in .csv, or be - for standard output")
    if coverage is not None and not 0 < coverage < 1:
        raise typer.BadParameter(f"--coverage {coverage:g}: it must be above 0 and below 1, such as 0.95")
    loaded = load_guides(guide, others, engine)
    top = min(top, len(loaded.class_names))
    skipped: list[SkippedPhoto] = []
    done = 0

    def answered(results: "Iterable[Prediction | SkippedPhoto]") -> "Iterator[Prediction]":
        nonlocal done
        for result in results:
            if isinstance(result, SkippedPhoto):
                skipped.append(result)
            else:
                done += 1
                yield replace(result, is_unknown=result.is_unknown and not always_answer)
        if not done:
            raise DataError(f"no photo could be used, of {len(skipped)}: {first_reasons(skipped)}")

    with progress_bars() as on_progress:
        predictions = answered(loaded.predict_many(photos, on_progress, coverage=coverage))
        if csv_file is not None:
            _write_csv(csv_file, predictions, top)
        elif as_json:
            _print_json(predictions, top, skipped)
        else:
            _print_lines(predictions, top, loaded.class_names, always_answer=always_answer)
    print_cache_faults(loaded)
    if not as_json:
        print_skipped(skipped)
    if csv_file is not None and str(csv_file) != "-":
        note(f"answers in {csv_file}: {done}")


def _print_lines(
    predictions: "Iterable[Prediction]", top: int, class_names: Sequence[str], *, always_answer: bool
) -> None:
    """One line per photo, as it is answered; the name comes last, so that lines align without knowing them all."""
    from fieldguide.cli._console import printable

    width = max(map(len, class_names))
    first_width = width if always_answer else max(width, len(_unknown("")) + width)
    for prediction in predictions:
        names = [printable(name) for name, _ in prediction.top(top)]
        names[0] = _unknown(names[0]) if prediction.is_unknown else names[0]
        widths = [first_width, *[width] * (len(names) - 1)]
        shares = [share for _, share in prediction.top(top)]
        answers = [
            f"{name:<{room}} {100 * share:5.1f} %" for name, room, share in zip(names, widths, shares, strict=True)
        ]
        held = [f"{{{', '.join(map(printable, prediction.classes))}}}"] if prediction.classes else []
        print("   ".join([*answers, *held, printable(prediction.photo)]))


def _unknown(nearest: str) -> str:
    return f"unknown ({nearest})"


def _print_json(predictions: "Iterable[Prediction]", top: int, skipped: "list[SkippedPhoto]") -> None:
    """One JSON document, written as photos are answered: memory stays flat."""
    from fieldguide.cli._console import to_json

    for number, prediction in enumerate(predictions):
        answers = [{"class": name, "probability": share} for name, share in prediction.top(top)]
        before = ",\n" if number else '{"predictions": [\n'  # not before there is one: the first may be a mistake
        facts = {
            "photo": prediction.photo,
            "answers": answers,
            "unknown": prediction.is_unknown,
            "familiarity": prediction.familiarity,
            **({"classes": list(prediction.classes)} if prediction.classes else {}),
        }
        print(before + to_json(facts), end="")
    reasons = [{"photo": s.name, "reason": s.reason} for s in skipped]
    print(f'\n], "skipped": {to_json(reasons)}}}')


def _write_csv(path: Path, predictions: "Iterable[Prediction]", top: int) -> None:
    from fieldguide.paths import written_whole

    with contextlib.ExitStack() as stack:
        if str(path) == "-":
            file = sys.stdout
        else:
            file = stack.enter_context(
                stack.enter_context(written_whole(path.resolve())).open("w", encoding="utf-8", newline="")
            )
        writer = csv.writer(file, lineterminator="\n")
        ranks = range(1, top + 1)
        columns = [f"{column}_{rank}" for rank in ranks for column in ("class", "probability")]
        writer.writerow(["photo", *columns, "unknown", "classes"])
        for prediction in predictions:
            cells = [cell for name, share in prediction.top(top) for cell in (name, f"{share:.6f}")]
            unknown = "yes" if prediction.is_unknown else "no"
            writer.writerow([prediction.photo, *cells, unknown, "|".join(prediction.classes)])
