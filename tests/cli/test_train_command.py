"""``fieldguide train``, as a process."""

import json
import re
import subprocess
import sys

import pytest

import fieldguide as fg
from fieldguide.models import create_model
from fieldguide.weights.tensors import serialise

NAMES = ("blue", "green", "red")


def test_it_trains_evaluates_saves_and_says_how_to_go_on(run, colours, tmp_path):
    target = tmp_path / "my.guide"
    result = run("train", colours, "-o", target, COLUMNS="20")
    assert (result.returncode, result.stderr) == (0, f"report: {target / 'report.html'}\n")
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"3 classes, \d+ photos to learn from, \d+ held out \(by content\)", lines[0])
    assert re.search(r"^top-1 +100\.0 %  \(95 % interval \d+\.\d % to 100\.0 %\)$", result.stdout, re.MULTILINE)
    for name in NAMES:
        assert re.search(rf"^ ?{name} +100\.0 % +100\.0 % +100\.0 % +\d+ *$", result.stdout, re.MULTILINE)
    assert re.fullmatch(rf"{target} is ready after \d+\.\d s; try: fieldguide predict {target} PHOTO", lines[-1])
    assert fg.load(target).class_names == NAMES


def test_json_gives_the_same_facts(run, colours, colour_guide, tmp_path):
    result = run("train", colours, "-o", tmp_path / "my.zip", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    facts = json.loads(result.stdout)
    assert facts["guide"] == str(tmp_path / "my.zip") and facts["class_names"] == list(NAMES)
    assert facts["data"] == colour_guide.facts["data"] and facts["head"] == colour_guide.facts["head"]
    assert facts["evaluation"] == json.loads(json.dumps(colour_guide.evaluation.to_dict()))
    assert facts["seconds"] > 0
    assert fg.load(tmp_path / "my.zip").facts["data"] == facts["data"]


@pytest.mark.parametrize(
    ("data", "guide"), [("colours", "colours.guide"), ("colours/", "colours.guide"), (".", "colours.guide")]
)
def test_without_a_name_the_guide_is_called_after_the_data(run, colour_folder, monkeypatch, data, guide):
    monkeypatch.chdir(colour_folder if data == "." else colour_folder.parent)
    for _ in range(2):  # the second time beside the guide of the first
        assert run("train", data).returncode == 0
        assert fg.load(guide).class_names == NAMES


def test_what_was_passed_over_is_told_on_standard_error(run, image_folder, tmp_path):
    folder = image_folder({"train/red": 4, "train/blue": 4, "val/red": 2, "val/blue": 2, ".": 3})
    for number in range(12):
        (folder / "train" / "red" / f"bad {number:02d}.jpg").write_bytes(b"")
    twin = next((folder / "train/red").glob("*.png"))
    (folder / "val" / "red" / "twin.png").write_bytes(twin.read_bytes())
    result = run("train", folder, "-o", tmp_path / "x.guide")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "held-out copies of training photos, not evaluated: 1",
        "high: 1 picture both learnt from and held out (2 photos), such as val/red/twin.png, "
        f"train/red/{twin.name}: identical",
        f"more, and with the evidence: fieldguide check {folder}",
        "12 photos skipped:",
        *(f"  train/red/bad {number:02d}.jpg: empty file" for number in range(10)),
        "  ... and 2 more",
        "files without a class, left out: 3",
        f"report: {tmp_path / 'x.guide' / 'report.html'}",
    ]
    assert result.stdout.startswith("2 classes, 8 photos to learn from, 5 held out (as given)\n")


def test_photos_that_no_part_uses_are_counted(run, image_folder, tmp_path):
    folder = image_folder({f"{part}/{name}": 4 for part in ("train", "val", "test") for name in ("red", "blue")})
    result = run("train", folder, "-o", tmp_path / "x.guide")
    assert result.stderr.splitlines() == [
        "photos neither in train nor in the part held out, left out: 8",
        f"report: {tmp_path / 'x.guide' / 'report.html'}",
    ]
    assert fg.load(tmp_path / "x.guide").facts["data"]["unused"] == 8


def test_with_nothing_to_judge_it_says_so(run, image_folder, tmp_path):
    folder = image_folder({"red": 6, "blue": 6})
    for name in fg.train(folder).evaluation.answers.photo_names:
        (folder / name).unlink()
    result = run("train", folder, "-o", tmp_path / "x.guide")
    assert result.returncode == 0 and "top-1" not in result.stdout
    notes = f"too few photos: the accuracy is unknown\nreport: {tmp_path / 'x.guide' / 'report.html'}\n"
    assert result.stderr == notes
    assert json.loads(run("train", folder, "-o", tmp_path / "x.guide", "--json").stdout)["evaluation"] is None


def test_options_reach_the_guide(run, image_folder, tmp_path):
    options = ("--size", 64, "--fit", "squash", "--balanced", "--engine", "torch-cpu", "--strict")
    assert run("train", image_folder({"red": 5, "blue": 5}), "-o", tmp_path / "x.guide", *options).returncode == 0
    guide = fg.load(tmp_path / "x.guide")
    assert (guide.backbone.preprocess.size_px, guide.backbone.preprocess.fit) == (64, "squash")
    assert guide.facts["head"]["balanced"] is True


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_a_cache_that_can_not_be_used_costs_time_and_a_line(run, colours, saved_guide, tmp_path, command):
    arguments = {"train": (colours, "-o", tmp_path / "x.guide"), "evaluate": (saved_guide, colours)}
    (tmp_path / "file").touch()
    place = str(tmp_path / "file")
    result = run(command, *arguments.get(command, (saved_guide, colours)), FIELDGUIDE_CACHE=place)
    assert result.returncode == 0
    assert re.search(r"^the feature cache .* can't be used \(.*\); features are not kept$", result.stderr, re.M)


def test_a_backbone_with_weights_of_another_layout_says_what_fitted(run, colours, tmp_path):
    network = create_model("torchvision:mobilenet_v3_small")
    weights = tmp_path / "small.safetensors"
    weights.write_bytes(serialise({name: tensor.numpy() for name, tensor in network.state_dict().items()}))
    arguments = ("--backbone", "mobilenet_v3_small", "--weights", weights, "--size", 32)
    result = run("train", colours, "-o", tmp_path / "own.guide", *arguments)
    assert result.returncode == 0
    assert "weights: 244 of 244 tensors fitted, in the layout of torchvision" in result.stderr
    facts = json.loads((tmp_path / "own.guide" / "guide.json").read_text())
    assert "mobilenet_v3_small" in json.dumps(facts)
    assert run("predict", tmp_path / "own.guide", colours / "red" / "01.png").returncode == 0
    refused = run("train", colours, "-o", tmp_path / "no.guide", "--backbone", "resnet18", "--weights", weights)
    assert refused.returncode == 2
    assert "the weights don't fit resnet18: " in refused.stderr
    assert refused.stderr.count("\n") == 1


REPORTS_THAT_FAIL = {
    "fieldguide.reports.page.photo_map = lambda *_: 1 / 0":
        "fieldguide: the report could not be made: ZeroDivisionError: division by zero",
    "save, done = fieldguide.Guide.save, []\n"
    "def full(guide, path):\n"
    "    if done: raise fieldguide.errors.GuideError(f'{path} can\\'t be written: No space left on device')\n"
    "    done.append(save(guide, path))\n"
    "fieldguide.Guide.save = full":
        "the report could not be kept: x.guide can't be written: No space left on device",
}  # fmt: skip


@pytest.mark.parametrize("fault", REPORTS_THAT_FAIL, ids=["making", "keeping"])
def test_a_report_that_fails_costs_no_guide_and_is_a_line(colours, tmp_path, fault):
    code = f"import sys, fieldguide, fieldguide.reports\n{fault}\nfrom fieldguide.cli import main\nmain()"
    words = [sys.executable, "-c", code, "train", str(colours), "-o", "x.guide"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0 and result.stderr.splitlines() == [REPORTS_THAT_FAIL[fault]]
    assert "x.guide is ready after" in result.stdout and "report" not in result.stdout
    assert fg.load(tmp_path / "x.guide").predict(next(colours.rglob("*.png"))).label in ("blue", "green", "red")
