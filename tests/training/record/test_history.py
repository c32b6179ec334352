"""What a run saw, as CSV and in a sentence."""

import csv
import io
from dataclasses import fields

import pytest

from fieldguide.training.recipe import Recipe
from fieldguide.training.record.history import Epoch, ignore_epoch, to_csv, verdict


def epochs(*losses, **values):
    common = {"size_px": 32, "lr": 0.1, "validation_loss": 0.5, "validation_top1": 0.75, "photos_per_s": 100.0}
    return [
        Epoch(
            **{
                **common,
                "epoch": n,
                "step": 10 * n,
                "train_loss": loss,
                "seconds": 1.5 * n,
                "seconds_left": 0.0,
                **values,
            }
        )
        for n, loss in enumerate(losses, 1)
    ]


def test_csv_has_a_row_an_epoch_and_empty_cells_where_nothing_is_known():
    text = to_csv(epochs(2.0, 1 / 3, validation_loss=None, validation_top1=None)).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [f.name for f in fields(Epoch)]
    assert [row["train_loss"] for row in rows] == ["2", "0.333333"]
    assert rows[1]["validation_loss"] == "" and rows[1]["epoch"] == "2" and rows[1]["step"] == "20"
    assert to_csv([]).decode().splitlines() == [",".join(f.name for f in fields(Epoch))]
    assert ignore_epoch(epochs(1.0)[0]) is None


@pytest.mark.parametrize(
    ("own", "others", "losses", "sentence"),
    [
        (0.99, 0.90, (2, 1), "It overfits (99.0% of its own photos right and 90.0% of others): try more photos, "),
        (
            0.60,
            0.58,
            (2, 1),
            "It underfits (60.0% of its own photos right and 58.0% of others): try more epochs, ",
        ),
        (0.60, 0.58, (1, 1), "It underfits (60.0% of its own photos right and 58.0% of others): try a larger "),
        (0.60, 0.58, (1,), "It underfits (60.0% of its own photos right and 58.0% of others): try a larger "),
        (0.97, 0.96, (2, 1), "It fits (97.0% of its own photos right and 96.0% of others)."),
        (0.95, 0.97, (2, 1), "It fits (95.0% of its own photos right and 97.0% of others)."),
        (None, 0.9, (2, 1), ""),
        (0.9, None, (2, 1), ""),
        (0.9, 0.9, (), ""),
    ],
)
def test_a_sentence_says_whether_it_fits(own, others, losses, sentence):
    said = verdict(own, others, epochs(*losses), recipe=Recipe())
    assert said.startswith(sentence) and bool(said) == bool(sentence)


def test_what_to_try_depends_on_where_it_began():
    overfits, mixes = (1.0, 0.5, epochs(1.0)), Recipe(mixup=0.2)
    assert "--recipe strong, " in verdict(*overfits, recipe=Recipe())
    assert "--recipe strong --set flip=false, " in verdict(*overfits, recipe=Recipe(flip=False))
    assert "strong" not in verdict(*overfits, recipe=mixes)
    assert verdict(*overfits, recipe=mixes, from_nothing=False).endswith("try more photos, or fewer epochs.")
    underfits = (0.5, 0.5, epochs(1.0))
    assert "augmentation" not in verdict(*underfits, recipe=Recipe())
    for recipe in (mixes, Recipe(min_scale=0.5), Recipe(rand_augment=9)):
        assert verdict(*underfits, recipe=recipe).endswith(", or less augmentation.")
    fits = verdict(1.0, 1.0, epochs(1.0), recipe=mixes, subject="The network")
    assert fits.startswith("The network fits (")
