"""``fieldguide nodes``, as a process."""

import json
import re

import pytest


def test_nodes_are_listed_with_type_and_shape_and_what_features_picks(run):
    result = run("nodes", "efficientnet_lite0", "stages.?")
    assert result.returncode == 0
    rows = [line.split() for line in result.stdout.splitlines() if line.strip().startswith("stages.")]
    assert rows == [
        ["stages.0", "Sequential", "16x112x112", "1/2"], ["stages.1", "Sequential", "24x56x56", "1/4"],
        ["stages.2", "Sequential", "40x28x28", "1/8"], ["stages.3", "Sequential", "80x14x14"],
        ["stages.4", "Sequential", "112x14x14", "1/16"], ["stages.5", "Sequential", "192x7x7"],
        ["stages.6", "Sequential", "320x7x7", "1/32"],
    ]  # fmt: skip
    assert "for an image of 3x224x224" in result.stderr


def test_json_holds_the_same_and_more(run):
    result = run("nodes", "timm:vit_tiny_patch16_224", "blocks.1?", "--json")
    facts = json.loads(result.stdout)
    assert result.returncode == 0 and facts["input_shape"] == [3, 224, 224]
    assert [(n["name"], n["shape"], n["is_picked"]) for n in facts["nodes"]] == [
        ("blocks.10", [197, 192], False), ("blocks.11", [197, 192], True)
    ]  # fmt: skip
    assert facts["nodes"][1]["reduction"] == 16 and facts["nodes"][1]["channels"] == 192


def test_size_and_calls(run):
    out = run("nodes", "torchvision:resnet18", "layer1*", "--size", 64).stdout
    assert re.search(r"layer1.0.relu +ReLU +64x16x16 +2\n", out), "called twice in a block"
    assert re.search(r"layer1 +Sequential +64x16x16 +1/4\n", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet181",), "no model is called 'resnet181', did you mean 'resnet18'.*"),
        (("resnet18", "stage.?"), r"resnet18: no node matches 'stage\.\?', did you mean 'stages'.*"),
        (("resnet18", "zzz"), r"resnet18: no node is called 'zzz'; `fieldguide nodes NAME` lists them"),
        (("resnet18", "--size", "8"), r"Invalid value: resnet18: images of 3x8x8 .*32x32.* or more\. .*"),
        (
            ("timm:vit_tiny_patch16_224", "--size", "20"),
            r"Invalid value: timm:vit_tiny_patch16_224: images of 3x20x20 .*",
        ),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message):
    result = run("nodes", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(f"fieldguide: {message}\n", result.stderr), result.stderr
