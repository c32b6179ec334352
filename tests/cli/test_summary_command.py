"""``fieldguide summary``, as a process."""

import json
import re

import pytest


def rows(text):
    """The table's cells by the names of its modules, with their indentation."""
    lines = text.split("\n\n")[0].splitlines()[2:]
    return {re.match(r" *\S+", line)[0][1:]: re.split(r" {2,}", line.strip()) for line in lines}


def test_shows_the_tree_and_the_totals(run):
    result = run("summary", "resnet18", "--size", 64, "--num-classes", 10, "--freeze", "features")
    assert (result.returncode, result.stderr) == (0, "")
    table = rows(result.stdout)
    assert table["(all)"] == [
        "(all)", "ResNet", "10", "5,130 (11,176,512)", "148 M", "2.20 MB", "all", "-", "-"
    ]  # fmt: skip
    assert table["  conv"][:1] == ["conv"] and table["  conv"][2:4] == ["64x32x32", "(9,408)"]
    assert table["stages"][1:5] == ["Sequential", "512x2x2", "(11,166,976)", "138 M"]
    assert table["stages"][-3:] == ["435", "32", "217"]
    assert table["classifier"] == ["classifier", "Linear", "10", "5,130", "5.12 k", "40 B", "all", "-", "-"]
    assert result.stdout.endswith(
        "one image of 3x64x64, float32\n"
        "11,181,642 parameters: 5,130 trainable, 11,176,512 frozen\n"
        "148,050,944 multiply-adds, and 10 additions of biases\n"
        "44.77 MB of weights, 2.20 MB of activations\n"
    )


def test_depth_leaves_out_what_is_deeper(run):
    assert list(rows(run("summary", "resnet18", "--depth", 1).stdout)) == [
        "(all)", "stem", "stem_pool", "stages", "classifier",
    ]  # fmt: skip
    assert list(rows(run("summary", "resnet18", "--depth", 0).stdout)) == ["(all)"]


def test_a_pipe_gets_whole_lines(run):
    text = run("summary", "timm:vit_tiny_patch16_224", COLUMNS="40").stdout
    assert "…" not in text
    assert re.search(r"^ {3}0 +Block +197x192 +444,864 +102 M ", text, re.MULTILINE)


def test_fields_that_differ_along_rows_and_columns(run):
    text = run("summary", "torchvision:inception_v3", "--size", 299).stdout
    assert re.search(r"branch7x7_2 +BasicConv2d +128x17x17 .* 159x255 +16x16 +58x106$", text, re.MULTILINE)


def test_json_has_it_all(run):
    facts = json.loads(run("summary", "one_conv", "--freeze", "stem", "--json").stdout)
    assert facts["name"] == "one_conv" and facts["input_shape"] == [1, 1, 28, 28]
    total = facts["total"]
    assert (total["params"], total["frozen_params"], total["macs"]) == (52_084, 234, 181_440)
    assert total["weight_bytes"] == 4 * 52_084 and total["receptive_field"] == "global"
    conv = next(m for m in facts["modules"] if m["kind"] == "Conv2d")
    span = {"size": 5, "stride": 1, "padding": 0}
    assert conv["output_shape"] == [1, 9, 24, 24] and conv["receptive_field"] == {"rows": span, "columns": span}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnet19", r"no model is called 'resnet19', did you mean 'resnet.*\?"),
        ("timm:resnet19", r"timm has no model called 'resnet19', did you mean .*\?"),
        ("resnet18 --size 31", r".* images are 31x31 px; this network takes 32x32 px or more\. See: .*"),
        ("timm:vit_tiny_patch16_224 --size 99", r".* images of 3x99x99 don't pass through the network: .*"),
        ("resnet18 --size 8193", r".* images are 8193x8193 px; receptive fields are found with .* 8192 px .*"),
        ("resnet18 --size 99999999999", r".* images of 3x99999999999x99999999999 can't be made: .*"),
        ("resnet18 --size 0", r"Invalid value for '--size': .*'0'\. See: .*"),
        ("resnet18 --num-classes -1", r"Invalid value for '--num-classes': .*'-1'\. See: .*"),
        ("resnet18 --freeze stagse", r"nothing to freeze is called 'stagse', did you mean 'stages'.*"),
        ("resnet18 --freeze xyz*", r"nothing to freeze is called 'xyz\*'; its outermost modules are stem, .*"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message):
    result = run("summary", *arguments.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"fieldguide: {message}\n", result.stderr), result.stderr
