"""A command that is given again takes what it left, and refuses what another left."""

import os
import signal
import sys

import pytest

import fieldguide as fg
from fieldguide.errors import StoppedError, TrainingError

SETTINGS = {"epochs": 2, "batch_size": 8, "precision": "float32", "warmup_epochs": 0}


def train(colours, place, **options):
    how = {"model": "resnet9", "arguments": {"width": 0.05}, "size_px": 32, "settings": SETTINGS, "seed": 1}
    return fg.train_network(colours, output=place, again=True, **{**how, "engine": "torch-cpu", **options})


@pytest.fixture(scope="module")
def guide_and_place(colours, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "x.guide"
    return train(colours, place), place


def test_a_guide_that_is_there_is_loaded_for_the_engine_that_is_asked_for(colours, guide_and_place):
    guide, place = guide_and_place
    before = (place / "guide.json").stat().st_mtime_ns
    again = train(colours, place, engine="auto")
    assert again.evaluation is None and again.facts["metrics"]["top1"] == guide.facts["metrics"]["top1"]
    assert (again.head.weight == guide.head.weight).all()
    assert (place / "guide.json").stat().st_mtime_ns == before
    assert train(colours, place).embedder._engine_name == "torch-cpu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mobilenet_v2"}, "is of model resnet9, and is now to be of mobilenet_v2"),
        ({"recipe": "strong"}, "is of optimiser sgd, and is now to be of adamw"),
        ({"settings": {**SETTINGS, "lr": 0.5}}, r"is of lr 0\.1, and is now to be of 0\.5"),
        ({"arguments": {"width": 0.1}}, r"is of arguments width 0\.05, and is now to be of 0\.1"),
        ({"arguments": {}}, r"is of arguments width 0\.05, and is now to be of no particular one"),
        ({"size_px": 64}, "is of size_px 32, and is now to be of 64"),
        ({"size_px": None}, "is of size_px 32, and is now to be of no particular one"),
        ({"fit": "pad"}, "is of fit no particular one, and is now to be of pad"),
        ({"seed": 2}, "is of seed 1, and is now to be of 2"),
        ({"teachers": ["t.guide"]}, r"is of teachers no particular one, and is now to be of .*t\.guide"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_guide_of_other_orders_is_refused_by_what_differs(colours, guide_and_place, options, message):
    place = guide_and_place[1]
    with pytest.raises(TrainingError, match=rf"x\.guide {message}; choose another --output, or remove what is"):
        train(colours, place, **options)


def test_a_guide_of_other_photos_or_of_frozen_features_is_refused(
    colours, guide_and_place, image_folder, saved_guide
):
    other = image_folder({"blue": 9, "green": 9, "red": 9}, name="other")
    with pytest.raises(
        TrainingError, match=r"x\.guide is of photos .*colours, and is now to be of .*other; choose"
    ):
        train(other, guide_and_place[1])
    with pytest.raises(TrainingError, match="is of kind on frozen features, and is now to be of from nothing"):
        train(colours, saved_guide)


def stop_at_the_third_step(stage, done, total):
    if stage == "steps" and done == 3:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_run_that_was_begun_goes_on_by_the_same_orders_alone(colours, guide_and_place, image_folder, tmp_path):
    place = tmp_path / "run"
    with pytest.raises(StoppedError, match="go on with"):
        train(colours, place, on_progress=stop_at_the_third_step)
    with pytest.raises(
        TrainingError, match=r"run is of lr 0\.1, and is now to be of 0\.5; choose another --output"
    ):
        train(colours, place, settings={**SETTINGS, "lr": 0.5})
    other = image_folder({"blue": 9, "green": 9, "red": 9}, name="other/colours")
    with pytest.raises(
        TrainingError, match=r"run is of data .*colours, and is now to be of .*other/colours; choose"
    ):
        train(other, place)
    resumed = train(colours, place, engine="auto")
    assert (resumed.head.weight == guide_and_place[0].head.weight).all() and resumed.evaluation is not None


def test_files_are_known_by_their_names(colours, saved_guide, tmp_path):
    how = {"settings": {**SETTINGS, "lr": 1e-30, "validation": 0.3}, "size_px": 64, "engine": "torch-cpu"}
    guide = fg.finetune(colours, backbone=f"{saved_guide}/", output=tmp_path / "x", **how)
    training = guide.facts["training"]
    assert (training["model"], training["weights"]) == ("colours.guide", None)
    again = fg.finetune(colours, backbone=str(saved_guide), output=tmp_path / "x", again=True, **how)
    assert again.evaluation is None
    with pytest.raises(TrainingError, match=r"is of model colours\.guide, and is now to be of efficientnet_lite0"):
        fg.finetune(colours, output=tmp_path / "x", again=True, **how)
