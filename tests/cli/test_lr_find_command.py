"""``fieldguide lr-find``, as a process."""

import json
import re

import pytest

OPTIONS = ("--model", "multilayer_cnn", "--set", "precision=float32", "--steps", 40)


def test_it_suggests_a_rate_and_draws_losses(run, tmp_path):
    picture = tmp_path / "rates.svg"
    result = run("lr-find", "digits", *OPTIONS, "--picture", picture)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["learning", "rate", "loss"]
    assert re.fullmatch(r"suggested: --set lr=[0-9.e-]+", lines[-1])
    assert re.fullmatch(r"the loss exploded at \de[+-]\d\d|", lines[-2]) or re.search(r"exploded", lines[-2])
    assert picture.read_bytes().startswith(b"<?xml")


def test_json(run):
    facts = json.loads(run("lr-find", "digits", *OPTIONS, "--seed", 1, "--json").stdout)
    assert len(facts["rates"]) == len(facts["losses"]) and facts["suggested"] > 0


def test_a_teacher_is_learnt_from(run, colours, saved_guide):
    settings = ("--set", "batch_size=8", "--set", "precision=float32")
    how = ("lr-find", colours, "--model", "lenet", "--size", 32, "--steps", 10, *settings, "--json")
    taught, alone = (json.loads(run(*how, *more).stdout) for more in (("--teacher", saved_guide), ()))
    both = min(len(taught["rates"]), len(alone["rates"]))  # either may end where its loss rises too far
    assert both > 5 and taught["rates"][:both] == alone["rates"][:both]
    assert taught["losses"] != alone["losses"]


def test_options_of_training_change_what_is_tried(run, colours):
    how = (
        "lr-find",
        colours,
        "--model",
        "lenet",
        "--size",
        32,
        "--steps",
        10,
        "--set",
        "precision=float32",
        "--json",
    )
    options = ((), ("--batch-size", 8), ("--fit", "squash"))
    losses = [json.loads(run(*how, *more).stdout)["losses"] for more in options]
    assert losses[0] != losses[1] and losses[0] != losses[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", "--model", "resnet19"), "no model is called 'resnet19', .*"),
        (("digits", "--width", "0.5"), "--width is of a network from nothing; add --model NAME.*"),
        (("digits", "-a", "width=0.5"), "--argument is of a network from nothing; add --model NAME.*"),
        (
            ("digits", "--model", "mlp", "--weights", "x"),
            "--model begins from nothing; leave --weights out, or .*",
        ),
        (("digits", "--model", "mlp", "--backbone", "x"), "--model begins from nothing; leave --backbone out, .*"),
        (("digits", "--model", "mlp", "--hard"), "--hard is of learning from a teacher; add --teacher GUIDE.*"),
        (
            ("digits", "--model", "mlp", "--batch-size", "8", "--set", "batch_size=9"),
            "--batch-size 8 and --set batch_size=9 contradict each other; leave one of them out.*",
        ),
        (("digits", "--model", "mlp", "--freeze", "stage1"), "freeze is stage1, but a network from nothing .*"),
        (
            ("digits", "--model", "mlp", "--set", "mixup=1", "--balanced"),
            "mixup mixes photos of two classes, and balance=weights weighs .*",
        ),
        (
            ("digits", "--model", "mlp", "--set", "lr"),
            r"--set lr is not of the form NAME=VALUE, .*",
        ),
        (("digits", "--model", "mlp", "--picture", "x.gif"), r"x\.gif: a picture's name must end in \.png, .*"),
        (("digits", "--model", "mlp", "--steps", "3"), r"Invalid value for '--steps': .*10.*"),
        (("digit", "--model", "mlp"), "digit does not exist, and no set has that name, did you mean 'digits'.*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("lr-find", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(f"fieldguide: (Invalid value: )?{message}\n", result.stderr), result.stderr
    assert list(tmp_path.iterdir()) == []
