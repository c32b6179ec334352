"""The command in a guide makes the same guide again."""

import shlex

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.training.record.command import head_command


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"balanced": True, "size": 96, "fit": "pad"}, ["--size", "96", "--fit", "pad", "--balanced"]),
        ({"backbone": "timm:resnet18"}, ["--backbone", "timm:resnet18"]),
    ],
)
def test_a_head_is_told_with_what_was_chosen(options, words):
    chosen = {"backbone": "efficientnet_lite0", "balanced": False, **options}
    assert shlex.split(head_command("my photos", **chosen)) == ["fieldguide", "train", "my photos", *words]


def test_the_command_of_a_head_makes_it_again(run, colours, tmp_path):
    guide = fg.train(colours, size_px=96, balanced=True, report=False)
    words = shlex.split(guide.facts["command"])
    assert run(*words[1:], "-o", tmp_path / "again.guide").returncode == 0
    again = fg.load(tmp_path / "again.guide")
    assert (again.head.weight == guide.head.weight).all() and again.facts["command"] == guide.facts["command"]


def test_the_command_of_a_network_makes_it_again(run, colours, tmp_path):
    guide = fg.train_network(
        colours,
        model="multilayer_cnn",
        recipe="baseline",
        settings={"epochs": 2, "batch_size": 8, "nesterov": False, "precision": "float32"},
        size_px=24,
        seed=3,
    )
    command = guide.facts["command"]
    assert command == (
        f"fieldguide train {colours} --model multilayer_cnn --recipe baseline --set epochs=2 --set batch_size=8 "
        "--set nesterov=false --set warmup_epochs=0.06666666666666667 --set precision=float32 --size 24 --seed 3"
    )
    assert run(*shlex.split(command)[1:], "-o", tmp_path / "again.guide").returncode == 0
    again = fg.load(tmp_path / "again.guide")
    assert (again.head.weight == guide.head.weight).all() and again.facts["command"] == command


def test_fine_tuning_and_a_recipe_that_is_gone(colours, tmp_path):
    recipe = tmp_path / "own.toml"
    recipe.write_text("[settings]\nepochs = 1\nlr = 0.001\nbatch_size = 16\nvalidation = 0.2\n", encoding="utf-8")
    epochs = []

    def remove(epoch):
        epochs.append(epoch)
        recipe.unlink()

    guide = fg.finetune(colours, size_px=64, recipe=str(recipe), on_epoch=remove)
    words = shlex.split(guide.facts["command"])
    assert words[3] == "--finetune" and words[4:6] == ["--recipe", "finetune"] and len(epochs) == 1
    told = dict(word.split("=") for word in words if "=" in word)
    assert told["lr"] == "0.001" and told["layer_decay"] == "1" and told["ema"] == "0", "as the file left them"
    assert "warmup_epochs" in told, "it would shrink with the epochs"


def test_photos_given_as_an_object_have_no_command():
    images = fg.open_images("digits")
    some = images.select(np.arange(len(images)) < 200)
    settings = {"epochs": 1, "batch_size": 16}
    assert fg.train_network(some, model="multilayer_cnn", settings=settings).facts["command"] == ""
    assert fg.train(some, report=False).facts["command"] == ""
