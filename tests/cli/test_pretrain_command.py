"""``fieldguide pretrain``: what it prints, and that a killed run goes on to the same bits."""

import json
import signal
import subprocess
import sys
import time

import pytest

import fieldguide as fg

TINY = ("--model", "resnet9", "--width", 0.05, "--size", 16, "--epochs", 3, "--batch-size", 8, "--seed", 2,
        "--set", "precision=float32")  # fmt: skip


def test_pretrain_learns_judges_and_says_how_to_go_on(run, colours, tmp_path):
    place = tmp_path / "backbone"
    result = run("pretrain", colours, *TINY, "--fit", "pad", "-o", place)
    assert result.returncode == 0 and result.stderr == ""
    assert "nearest neighbours" in result.stdout and "random weights" in result.stdout
    assert f"try: fieldguide train PHOTOS --backbone {place}" in result.stdout
    trained = run("train", colours, "--backbone", place, "--engine", "torch-cpu", "-o", tmp_path / "x.guide")
    assert trained.returncode == 0 and "is ready" in trained.stdout
    assert fg.load(tmp_path / "x.guide").backbone.preprocess.fit == "pad", "as the backbone was pretrained"
    again = run("pretrain", colours, *TINY, "-o", place)
    assert again.returncode == 2 and "already exists and holds" in again.stderr


def test_json(run, colours, tmp_path):
    result = run("pretrain", colours, *TINY, "-o", tmp_path / "backbone", "--json")
    facts = json.loads(result.stdout)
    assert facts["backbone"] == str(tmp_path / "backbone") and facts["training"]["recipe"]["epochs"] == 3
    assert facts["metrics"]["pretrained"]["neighbours_top1"] > 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "no photos are named; pass a folder of them, or --resume RUN"),
        (
            ("--resume", "x", "--epochs", 2),
            "--resume goes on with what its run was told to do; leave --epochs out",
        ),
        (("photos", "--resume", "x"), "leave PHOTOS out"),
        (("--resume", "nothing"), "nothing holds no unfinished run"),
        (("photos", "--set", "lr=1", "--lr", 2), "--lr 2.0 and --set lr=1 contradict each other"),
        (
            ("photos", "--set", "hard=yes"),
            "hard is true, which learning without labels has no use for; set hard=false",
        ),
        (("photos", "--set", "temperature=4"), "temperature is 4.0, which learning without labels has no use for"),
        (
            ("photos", "--set", "teacher_weight=1"),
            "teacher_weight is 1.0, which learning without labels has no use for",
        ),
        (("photos", "--set", "epochs"), "--set epochs is not of the form NAME=VALUE"),
    ],
)
def test_mistakes_take_one_line(run, arguments, expected):
    result = run("pretrain", *arguments, COLUMNS="200")
    assert result.returncode == 2 and expected in result.stderr and "Traceback" not in result.stderr


def names_in(folder):
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_killed_run_resumed_ends_with_the_same_bits(run, colours, tmp_path):
    long = [*TINY, "--epochs", 60]
    whole = run("pretrain", colours, *long, "-o", tmp_path / "whole")
    assert whole.returncode == 0
    place = tmp_path / "killed"
    begin = ["pretrain", colours, *long, "-o", place]
    for arguments in (begin, ["pretrain", "--resume", place]):
        command = [sys.executable, "-m", "fieldguide", *map(str, arguments), "--checkpoint-every", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        checkpoints = place / "training" / "checkpoints"
        known = names_in(checkpoints)
        until = time.monotonic() + 60
        while time.monotonic() < until and not names_in(checkpoints) - known:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = run("pretrain", "--resume", place)
    assert resumed.returncode == 0, resumed.stderr
    assert (place / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
