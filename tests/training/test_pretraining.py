"""Learning without labels: the loss, the target, what is learnt from, and runs that are interrupted."""

import json
import math
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.testing import assert_close

import fieldguide as fg
from fieldguide.data.image_set import NO_LABEL
from fieldguide.errors import DataError, RecipeError, StoppedError, TrainingError
from fieldguide.training.byol import Byol, byol_loss, decay_at
from fieldguide.training.photos.unlabelled_photos import gather_unlabelled, open_unlabelled
from fieldguide.training.pretraining import pretrain, resume_pretraining
from fieldguide.training.recipe import load_recipe
from fieldguide.training.runs import resume
from fieldguide.weights import load_backbone

TINY = {"model": "resnet9", "arguments": {"width": 0.05}, "size_px": 16, "seed": 3}
SETTINGS = {"epochs": 3, "batch_size": 8, "precision": "float32"}


def learn(data, output=None, *, settings=None, **options):
    return pretrain(data, output=output, **TINY, settings={**SETTINGS, **(settings or {})}, **options)


def stop_at(step):
    """A progress function that ends the run as SIGTERM does, after a step."""

    def on_progress(stage, done, total):
        if stage == "steps" and done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_progress


def write_photo(path, *, seed):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 20, 3), np.uint8)).save(path)


@pytest.fixture
def plain_photos(tmp_path):
    """A folder of photos without labels, one of them damaged."""
    for number in range(20):
        write_photo(tmp_path / "plain" / f"{number:02d}.png", seed=number)
    (tmp_path / "plain" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return tmp_path / "plain"


# The method


def test_the_loss_is_the_squared_distance_of_directions():
    predictions = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    wanted = torch.tensor([[10.0, 0.0], [0.0, -1.0]])
    first = (0.6 - 1) ** 2 + 0.8**2  # of (0.6, 0.8) to (1, 0)
    second = 2.0**2  # of (0, 1) to (0, -1)
    outputs = torch.stack([predictions, wanted])
    assert_close(byol_loss(outputs, torch.zeros(2), torch.zeros(2)), torch.tensor((first + second) / 2))
    assert byol_loss(torch.stack([wanted, 7 * wanted]), torch.zeros(2), torch.zeros(2)) == pytest.approx(
        0, abs=1e-6
    )


def test_the_target_keeps_more_and_more_of_itself():
    kept = [decay_at(step, 100, 0.9) for step in range(101)]
    assert kept[0] == pytest.approx(0.9) and kept[50] == pytest.approx(0.95) and kept[100] == 1
    assert kept == sorted(kept)
    assert kept[25] == pytest.approx(1 - 0.1 * (math.cos(math.pi / 4) + 1) / 2)


@pytest.fixture
def byol():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5))
    return Byol(body, 5, target_decay=0.8)


def test_each_view_is_predicted_from_the_other(byol):
    views = torch.randn(8, 3, 2, 2)
    predicted, wanted = byol.train()(views)
    assert predicted.shape == wanted.shape == (8, 256)
    assert_close(predicted[:4], byol.predictor(byol.online(views[:4])))
    assert_close(wanted[:4], byol.target(views[4:]))
    assert_close(wanted[4:], byol.target(views[:4]))


def test_the_target_follows_the_network_and_never_learns(byol):
    byol_loss(byol.train()(torch.randn(8, 3, 2, 2)), torch.zeros(8), torch.zeros(8)).backward()
    assert all(p.grad is None for p in byol.target.parameters())
    learning = [*byol.online.parameters(), *byol.predictor.parameters()]
    assert all(p.grad is not None for p in learning)
    before = byol.target.body[1].weight.clone()
    with torch.no_grad():
        byol.online.body[1].weight.add_(1)
    byol.follow(50, 100)  # where it keeps 0.9 of itself
    assert_close(byol.target.body[1].weight, before + 0.1)


def test_the_target_normalises_by_its_batch_where_the_loop_froze_it(byol):
    byol.train()
    byol.target.eval()
    for module in byol.target.modules():
        module.eval()
    views = 100 + torch.randn(8, 3, 2, 2)
    byol(views)
    assert byol.target.training and byol.target.body[2].training
    byol.eval()(views)
    assert not byol.target.training


# What is learnt from


def test_a_plain_folder_of_photos_is_learnt_from_and_a_damaged_one_is_named(plain_photos, tmp_path):
    made = learn(plain_photos, tmp_path / "backbone")
    assert made.facts["data"]["num_train"] == 20 and made.facts["metrics"] is None
    (skipped,) = made.facts["data"]["skipped"]
    assert skipped["photo"].endswith("broken.jpg")
    assert sorted(p.name for p in (tmp_path / "backbone").iterdir()) == [
        "backbone.json",
        "history.csv",
        "model.safetensors",
    ]


def test_strict_stops_at_a_damaged_photo(plain_photos):
    with pytest.raises(DataError, match=r"broken\.jpg: .*; stopped, as --strict asks"):
        learn(plain_photos, strict=True)


def test_labels_only_serve_to_judge_by_photos_that_a_guide_would_hold_out_too(colours):
    made = learn(colours, settings={"epochs": 6})
    metrics = made.facts["metrics"]
    guide = fg.train(colours)
    assert metrics["num_photos"] == guide.facts["data"]["num_held_out"]
    assert metrics["num_known"] == guide.facts["data"]["num_train"] == made.facts["data"]["num_train"]
    assert set(metrics["pretrained"]) == set(metrics["random"]) == {"neighbours_top1", "linear_top1"}
    assert metrics["pretrained"]["linear_top1"] > 0.5


def test_of_a_split_set_the_test_part_is_held_out_and_photos_in_no_class_are_learnt_from(image_folder):
    folder = image_folder(
        {"train/red": 4, "train/blue": 4, "val/red": 2, "test/red": 3, "test/blue": 3, "train": 2}
    )
    shutil.copy(next((folder / "train" / "red").iterdir()), folder / "test" / "red" / "copy.png")
    everything = open_unlabelled(folder)
    recipe = load_recipe("byol").recipe
    photos = gather_unlabelled(everything, fg.Preprocess(size_px=16), recipe)
    assert len(photos.learnt) == 9 and len(photos.known) == 7
    assert set(photos.learnt.images.parts) == {"train"}
    assert len(photos.held_out) == 7, "of what is held out no copy is learnt from"


def test_no_loose_copy_is_learnt_from_of_what_is_held_out_by_its_content(colours, tmp_path):
    folder = tmp_path / "colours"
    shutil.copytree(colours, folder)
    for number, photo in enumerate(sorted(folder.glob("*/*.png"))):
        shutil.copy(photo, folder / f"loose{number}.png")
    photos = gather_unlabelled(open_unlabelled(folder), fg.Preprocess(size_px=16), load_recipe("byol").recipe)
    assert photos.held_out and not set(photos.held_out.digests) & set(photos.learnt.digests)


def test_one_class_is_nothing_to_judge_by_and_all_of_it_is_learnt_from(image_folder):
    photos = gather_unlabelled(
        open_unlabelled(image_folder({"red": 9})), fg.Preprocess(size_px=16), load_recipe("byol").recipe
    )
    assert len(photos.learnt) == 9 and photos.held_out is None


@pytest.mark.parametrize(
    ("count", "expected"), [(1, "has 1 photos to learn from, and 1 that can't be used"), (0, "has 0 photos")]
)
def test_too_few_photos_are_refused(tmp_path, count, expected):
    for number in range(count):
        write_photo(tmp_path / "few" / f"{number}.png", seed=number)
    (tmp_path / "few").mkdir(exist_ok=True)
    (tmp_path / "few" / "notes.txt").write_text("no photo")
    with pytest.raises(DataError, match=rf"{expected}.*takes two or more"):
        learn(tmp_path / "few")


def test_a_folder_without_any_file_is_refused_as_image_folders_are(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no files"):
        learn(tmp_path / "empty")
    with pytest.raises(DataError, match="nowhere does not exist"):
        learn(tmp_path / "nowhere")


# Settings and places that are refused


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"mixup": 0.2}, "mixup is 0.2, which learning without labels has no use for; set mixup=0"),
        ({"validation": 0.1}, "validation is 0.1, which learning without labels has no use for; set validation=0"),
        ({"balance": "sampling"}, "balance is sampling, .*; set balance=none"),
        ({"freeze": "stage1"}, "freeze is stage1, .*; set freeze=none"),
        ({"batch_size": 4, "accumulate": 4}, "batch_size is 4, in 4 parts; .*set batch_size=8"),
        (
            {"layer_decay": 0.5},
            "layer_decay is 0.5, which learning without labels has no use for; set layer_decay=1",
        ),
        (
            {"schedule": "plateau"},
            "schedule is plateau, which watches the validation loss, and learning without labels has none; set "
            "schedule=cosine, linear or constant",
        ),
        ({"target_decay": 1.5}, "target_decay is 1.5; it must be at least 0 and at most 1"),
    ],
)
def test_settings_that_need_labels_are_refused(colours, settings, expected):
    with pytest.raises(RecipeError, match=expected):
        learn(colours, settings=settings)


def test_nothing_that_is_there_is_lost(plain_photos, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    with pytest.raises(TrainingError, match=r"letters already exists and holds 'dear\.txt'; choose another name"):
        learn(plain_photos, tmp_path / "letters")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file already exists and holds 'file'"):
        learn(plain_photos, tmp_path / "file")
    with pytest.raises(TrainingError, match=r"below can't be written: .*; choose another folder"):
        learn(plain_photos, tmp_path / "file" / "below")


def test_what_is_refused_leaves_no_run_and_may_be_corrected(plain_photos, tmp_path):
    with pytest.raises(
        TrainingError,
        match=r"20 photos can't be shared out to 32 parts of a batch \(1 processes, accumulate=\d+\)",
    ):
        learn(plain_photos, tmp_path / "run", settings={"batch_size": 64, "accumulate": 32})
    learn(plain_photos, tmp_path / "run", settings={"epochs": 1})


def test_photos_in_a_folder_called_training_are_not_taken_for_a_run(plain_photos, tmp_path):
    photos = shutil.copytree(plain_photos, tmp_path / "data" / "training")
    before = sorted(photos.iterdir())
    with pytest.raises(TrainingError, match=r"data/training is no training run, and would be lost; move it, or"):
        learn(photos, tmp_path / "data")
    assert sorted(photos.iterdir()) == before


# Interruptions


def test_a_run_stopped_and_resumed_ends_with_the_same_bits(plain_photos, tmp_path):
    whole = learn(plain_photos, tmp_path / "whole")
    place = tmp_path / "stopped"
    for step in (2, 5):
        with pytest.raises(
            StoppedError, match=rf"step {step + 1} of 8, .*go on with: fieldguide pretrain --resume"
        ):
            if step == 2:
                learn(plain_photos, place, on_progress=stop_at(step))
            else:
                resume_pretraining(place, on_progress=stop_at(step))
    with pytest.raises(TrainingError, match="holds an unfinished run; go on with: fieldguide pretrain --resume"):
        learn(plain_photos, place)
    with pytest.raises(TrainingError, match="of another command; go on with: fieldguide pretrain --resume"):
        resume(place)
    resumed = resume_pretraining(place)
    assert resumed.backbone.weights.fingerprint == whole.backbone.weights.fingerprint
    models = [(folder / "model.safetensors").read_bytes() for folder in (tmp_path / "whole", place)]
    assert models[0] == models[1] and not (place / "training").exists()
    with pytest.raises(TrainingError, match="stopped is finished: it is a backbone; try: fieldguide train PHOTOS"):
        resume_pretraining(place)


def test_a_checkpoint_holds_the_target(plain_photos, tmp_path):
    from fieldguide.training.record.checkpoint import read_checkpoint

    with pytest.raises(StoppedError):
        learn(plain_photos, tmp_path / "run", on_progress=stop_at(3))
    tensors = read_checkpoint(tmp_path / "run" / "training" / "checkpoints").tensors
    behind, ahead = (tensors[f"network.{part}.body.stem.conv.weight"] for part in ("target", "online"))
    assert behind.shape == ahead.shape and not torch.equal(behind, ahead)


def test_photos_given_as_an_object_are_asked_for_again(plain_photos, tmp_path):
    images = open_unlabelled(plain_photos)
    with pytest.raises(StoppedError):
        learn(images, tmp_path / "run", on_progress=stop_at(3))
    with pytest.raises(
        TrainingError, match=r"given as an object; pass them to resume_pretraining\(run, data=\.\.\.\)"
    ):
        resume_pretraining(tmp_path / "run")
    other = open_unlabelled(plain_photos).select(np.arange(21) != 4)
    message = (
        r"the photos of .*plain have changed since this run began, or come in another order \(their fingerprint "
        r"was [0-9a-f]{12}, and is [0-9a-f]{12}\); put them back, under their names, or start a new run"
    )
    with pytest.raises(TrainingError, match=message):
        resume_pretraining(tmp_path / "run", data=other)
    resume_pretraining(tmp_path / "run", data=images)


def test_a_run_with_labels_is_not_resumed_as_one_without(colours, tmp_path):
    with pytest.raises(StoppedError):
        fg.train_network(colours, **TINY, output=tmp_path / "run", settings=SETTINGS, on_progress=stop_at(1))
    with pytest.raises(TrainingError, match="of another command; go on with: fieldguide train --resume"):
        resume_pretraining(tmp_path / "run")


def test_another_seed_gives_another_network_and_the_same_seed_the_same(plain_photos):
    prints = [learn(plain_photos).backbone.weights.fingerprint for _ in range(2)]
    other = pretrain(plain_photos, **{**TINY, "seed": 4}, settings=SETTINGS).backbone.weights.fingerprint
    assert prints[0] == prints[1] != other


# What comes of it


def test_the_backbone_is_what_a_guide_is_trained_with(colours, tmp_path):
    made = learn(colours, tmp_path / "backbone", settings={"epochs": 6})
    assert (
        json.loads((tmp_path / "backbone" / "backbone.json").read_text())["training"]["kind"] == "without labels"
    )
    loaded = load_backbone(str(tmp_path / "backbone"))
    assert (loaded.name, loaded.preprocess) == ("resnet9", made.backbone.preprocess)
    assert loaded.weights.fingerprint == made.backbone.weights.fingerprint
    guide = fg.train(colours, backbone=str(tmp_path / "backbone"), engine="torch-cpu")
    assert guide.backbone.name == "resnet9" and guide.evaluation.top1 > 0.5
    place = guide.save(tmp_path / "colours.guide")
    shutil.rmtree(tmp_path / "backbone")
    again = fg.load(place, engine="torch-cpu")
    assert again.predict(colours / "red" / "01.png").label in again.class_names
    tuned = fg.finetune(
        colours,
        backbone=str(place),
        settings={"epochs": 1, "precision": "float32", "validation": 0.3},
        engine="torch-cpu",
    )
    assert tuned.backbone.name == "resnet9" and dict(tuned.backbone.arguments)["width"] == 0.05


def test_unlabelled_sets_have_no_labels(plain_photos):
    assert set(open_unlabelled(plain_photos).labels.tolist()) == {NO_LABEL}
