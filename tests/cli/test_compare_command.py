"""``fieldguide compare``, as a process."""

import json
import re
from types import SimpleNamespace

import pytest
from PIL import Image

from fieldguide.cli.compare import _draw


def test_a_table_and_a_picture(run, tmp_path):
    picture = tmp_path / "pictures" / "sizes.png"
    result = run("compare", "one_conv", "lenet", "-o", picture, "--seconds", 0)
    assert result.returncode == 0 and result.stderr == f"the picture is in {picture}\n"
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) > 120, "nothing is cut where standard output is no terminal"
    first = next(line for line in lines if line.strip().startswith("one_conv"))
    second = next(line for line in lines if line.strip().startswith("lenet"))
    assert "28 px" in first and "52.1 k" in first and "181 k" in first and "x]" not in first
    assert "32 px" in second and "59.4 k [1.14x]" in second and second.count("x]") == 5
    assert "ms: median (quartiles)" in result.stdout
    with Image.open(picture) as found:
        assert found.format == "PNG" and found.width > 1000
    assert [path.name for path in picture.parent.iterdir()] == ["sizes.png"]


def test_with_photos_and_json(run, colours, saved_guide, tmp_path):
    picture = tmp_path / "x.svg"
    result = run(
        "compare", "efficientnet_lite0", "lenet", "--data", colours, "--json", "-o", picture, "--seconds", 0
    )
    facts = json.loads(result.stdout)
    lite, lenet = facts["models"]
    assert result.returncode == 0 and lite["top1"] > 0.9 and lite["top1_interval"][0] < lite["top1"]
    assert lenet["top1"] is None and "says: no weights are installed for lenet; pass a file" in lenet["notes"][0]
    assert facts["picture"] == str(picture) and facts["data"] == str(colours)
    assert {"1", "32"} == set(lite["latency"]) and lite["latency"]["1"]["ratio"] == 1
    assert picture.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(("known", "axis"), [(("a", "b"), "top-1"), (("a",), "parameters"), ((), "parameters")])
def test_the_picture_shows_accuracies_where_two_can_be_compared(known, axis, tmp_path):
    models = [
        SimpleNamespace(name=n, params=10**6, macs=10**9, top1=0.9 if n in known else None, top1_interval=None)
        for n in "abc"
    ]
    _draw(SimpleNamespace(models=models, data="photos", num_held_out=9), tmp_path / "x.svg", ".svg")
    drawn = (tmp_path / "x.svg").read_text()
    assert f"<!-- {axis}" in drawn and ("without weights at hand: c" in drawn) == (axis == "top-1")
    assert ("<!-- c -->" in drawn) == (axis == "parameters")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet18", "resnet181"), "no model is called 'resnet181', did you mean 'resnet18'.*"),
        (("resnet18", "resnet18"), "Invalid value: 'resnet18' is named twice; name each model once.*"),
        (("resnet18", "-o", "photo.jpg"), r"Invalid value: photo\.jpg: a picture's name must end in \.png, .*"),
        (("resnet18", "--data", "no-such-thing"), "no-such-thing does not exist, and no set has that name; .*"),
        (("resnet18", "--size", "8"), r"Invalid value: resnet18: .*8x8 px; this network takes 32x32 px or more.*"),
        (("mlp", "lenet", "--size", "28"), r"Invalid value: lenet: .*28x28 px.*"),
        (("vgg16", "--size", "33000"), r"Invalid value for '--size': .*2048.*"),
        (("vit_tiny_patch16", "--size", "100"), r"Invalid value: vit_tiny_patch16: .*100x100 px.*"),
        ((), r"Missing argument '.*names.*'\. See: fieldguide compare --help"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("compare", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(f"fieldguide: {message}\n", result.stderr, re.IGNORECASE), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_the_work(run, tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = run("compare", "dense", "-o", tmp_path / "file" / "x.png")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"fieldguide: {tmp_path}/file/x\.png: [A-Za-z ]+\n", result.stderr)
