"""``fieldguide predict``."""

import contextlib
import csv
import sys
from collections.abc import Iterable, Iterator
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
                yield result
        if not done:
            raise DataError(f"no photo could be used, of {len(skipped)}: {first_reasons(skipped)}")

    with progress_bars() as on_progress:
        predictions = answered(loaded.predict_many(photos, on_progress))
        if csv_file is not None:
            _write_csv(csv_file, predictions, top)
        elif as_json:
            _print_json(predictions, top, skipped)
        else:
            _print_lines(predictions, top, max(map(len, loaded.class_names)))
    print_cache_faults(loaded)
    if not as_json:
        print_skipped(skipped)
    if csv_file is not None and str(csv_file) != "-":
        note(f"answers in {csv_file}: {done}")


def _print_lines(predictions: "Iterable[Prediction]", top: int, width: int) -> None:
    """One line per photo, as it is answered; the name comes last, so that lines align without knowing them all."""
    from fieldguide.cli._console import printable

    for prediction in predictions:
        answers = (f"{printable(name):<{width}} {100 * share:5.1f} %" for name, share in prediction.top(top))
        print("   ".join([*answers, printable(prediction.photo)]))


def _print_json(predictions: "Iterable[Prediction]", top: int, skipped: "list[SkippedPhoto]") -> None:
    """One JSON document, written as photos are answered: memory stays flat."""
    from fieldguide.cli._console import to_json

    for number, prediction in enumerate(predictions):
        answers = [{"class": name, "probability": share} for name, share in prediction.top(top)]
        before = ",\n" if number else '{"predictions": [\n'  # not before there is one: the first may be a mistake
        print(before + to_json({"photo": prediction.photo, "answers": answers}), end="")
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
        writer.writerow(["photo", *(f"{column}_{rank}" for rank in ranks for column in ("class", "probability"))])
        for prediction in predictions:
            cells = [cell for name, share in prediction.top(top) for cell in (name, f"{share:.6f}")]
            writer.writerow([prediction.photo, *cells])
