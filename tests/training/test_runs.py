"""Runs from end to end: the guide that comes of one, and what is refused before it begins."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import fieldguide as fg
from fieldguide.errors import DataError, GuideError, RecipeError, StoppedError, TrainingError, UnknownNameError

QUICK = {"epochs": 1, "precision": "float32", "batch_size": 16}


def some_digits(count=300):
    images = fg.open_images("digits")
    return images.select(np.arange(len(images)) < count)


def train(data, output=None, *, model="multilayer_cnn", settings=QUICK, **options):
    return fg.train_network(data, model=model, output=output, settings=settings, engine="torch-cpu", **options)


@pytest.fixture(scope="module")
def guide_and_place(tmp_path_factory):
    """A guide to the digits, trained from nothing."""
    target = tmp_path_factory.mktemp("runs") / "digits.guide"
    epochs = []
    guide = train("digits", target, settings={**QUICK, "epochs": 3, "lr": 0.003}, seed=4, on_epoch=epochs.append)
    return guide, target, epochs


def test_the_folder_is_an_ordinary_guide(guide_and_place):
    guide, target, _ = guide_and_place
    loaded = fg.load(target)
    assert loaded.class_names == tuple("0123456789") and loaded.evaluation is None
    again = loaded.evaluate("digits")
    assert (again.top1, again.num_photos) == (guide.evaluation.top1, guide.evaluation.num_photos)
    assert again.left_out == guide.facts["data"]["num_train"] == len(guide.seen)
    assert guide.evaluation.top1 > 0.8
    photo = fg.open_images("digits").read(0)
    assert loaded.predict(photo).label == "0"
    assert {path.name for path in target.iterdir()} == {
        "guide.json", "model.safetensors", "metrics.json", "history.csv", "predictions.parquet", "curves.png",
        "report.html",
    }  # fmt: skip


def test_deterministic_leaves_nothing_to_measurement(monkeypatch):
    monkeypatch.setattr("fieldguide.training.compute.arithmetic._step", None)  # what is measured
    guide = train(some_digits(100), settings={"epochs": 1, "deterministic": True})
    assert guide.facts["training"]["arithmetic"] == {"precision": "float32", "channels_last": True, "fused": False}


def test_it_says_how_it_was_trained(guide_and_place):
    guide, target, epochs = guide_and_place
    facts = fg.load(target).facts["training"]
    assert facts == guide.facts["training"]
    assert (facts["kind"], facts["recipe_name"], facts["seed"]) == ("from nothing", "lesson", 4)
    assert facts["recipe"]["lr"] == 0.003 and facts["recipe"]["optimiser"] == "adam"
    assert facts["arithmetic"]["precision"] == "float32" and facts["steps"] == epochs[-1].step
    assert facts["num_validation"] > 50 and facts["validation_top1"] == max(e.validation_top1 for e in epochs)
    assert 0 < facts["own_top1"] <= 1 and facts["verdict"].startswith("It ")
    rows = list(csv.DictReader(io.StringIO(guide.records["history.csv"].decode())))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    with Image.open(target / "curves.png") as picture:
        assert picture.size == (1200, 400)
    data = guide.facts["data"]
    assert data["num_train"] + data["num_held_out"] == 1797 and data["split"] == "by content"
    assert guide.facts["metrics"]["top1"] == guide.evaluation.top1


def test_without_an_output_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = train(some_digits(), model="mlp")
    assert list(tmp_path.iterdir()) == [] and guide.facts["training"]["steps"] > 1


def test_photos_in_memory_and_decoded_ones_give_the_same_model():
    images = some_digits()
    ready = train(images, model="mlp")
    decoded = train(replace(images, pixels=None), model="mlp")
    assert (ready.head.weight == decoded.head.weight).all()


def test_the_default_recipe_goes_by_the_photos(colours):
    assert train(some_digits(), model="mlp").facts["training"]["recipe_name"] == "lesson"
    settings = {**QUICK, "warmup_epochs": 0, "validation": 0}
    guide = train(colours, model="mobilenet_v2", arguments={"width": 0.25}, size_px=32, settings=settings)
    training = guide.facts["training"]
    assert training["recipe_name"] == "baseline" and training["num_validation"] == 0
    assert training["validation_top1"] is None
    assert guide.backbone.arguments["width"] == 0.25


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_networks_of_others_are_trained_too(colours, tmp_path, name):
    settings = {**QUICK, "warmup_epochs": 0}
    guide = train(colours, tmp_path / "x.guide", model=name, size_px=64, settings=settings)
    assert fg.load(tmp_path / "x.guide").backbone.name == name
    assert guide.facts["training"]["kind"] == "from nothing"


def test_a_run_on_an_object_is_resumed_with_it(tmp_path):
    def stop(stage, done, total):
        if stage == "steps" and done == 3:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)

    images = some_digits()
    whole = train(images, model="mlp")
    with pytest.raises(StoppedError, match=r"stopped at step \d of"):
        train(images, tmp_path / "run", model="mlp", on_progress=stop)
    with pytest.raises(TrainingError, match="given as an object; pass them to resume"):
        fg.resume(tmp_path / "run")
    resumed = fg.resume(tmp_path / "run", data=images)
    assert (resumed.head.weight == whole.head.weight).all()


@pytest.mark.parametrize("strict", [False, True])
def test_damaged_photos_are_skipped_and_named_or_end_it(image_folder, strict):
    folder = image_folder({"red": 20, "blue": 20})
    (folder / "red" / "bad.png").write_bytes(b"")
    settings = {**QUICK, "warmup_epochs": 0}
    options = {"model": "lenet", "size_px": 32, "settings": settings, "strict": strict}
    if strict:
        with pytest.raises(DataError, match=r"red/bad\.png: empty file; stopped, as --strict asks"):
            train(folder, **options)
    else:
        assert train(folder, **options).facts["data"]["skipped"] == [
            {"photo": "red/bad.png", "reason": "empty file"}
        ]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "resnet19"}, UnknownNameError, "no model is called 'resnet19'"),
        ({"recipe": "strng"}, UnknownNameError, "no recipe is called 'strng', did you mean 'strong'"),
        ({"settings": {"lr": 0}}, RecipeError, "lr is 0; it must be above 0"),
        ({"arguments": {"depth": 3}}, DataError, "multilayer_cnn takes no argument 'depth'; it takes in_channels"),
        (
            {"settings": {**QUICK, "batch_size": 400, "accumulate": 400}},
            TrainingError,
            r"\d+ photos can't be shared out to 400 parts of a batch \(1 processes, accumulate=400\)",
        ),
        ({"size_px": 12}, DataError, "multilayer_cnn can't be built for pictures of 12 px and . channels?: "),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_can_not_be_is_refused_and_leaves_nothing(tmp_path, options, kind, message):
    with pytest.raises(kind, match=message):
        train(some_digits(), tmp_path / "x.guide", **options)
    assert not (tmp_path / "x.guide" / "training" / "job.json").exists()


def test_places_that_can_not_hold_a_run_are_refused_before_the_work(tmp_path):
    with pytest.raises(TrainingError, match=r"x\.zip: a run is kept in a folder; name one, such as .*/x$"):
        train(some_digits(), tmp_path / "x.zip")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(GuideError, match=r"other already exists and is not a guide; choose another name"):
        train(some_digits(), tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]
