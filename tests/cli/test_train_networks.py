"""``fieldguide train`` with a network from nothing, or one that is fine-tuned, as a process."""

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

import fieldguide as fg
from fieldguide.errors import StoppedError
from fieldguide.models import create_model
from fieldguide.weights.tensors import serialise

CNN = ("--model", "multilayer_cnn", "--set", "precision=float32", "--engine", "torch-cpu")


def digest(target):
    return hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest()


def test_from_nothing_it_shows_its_epochs_and_says_what_came_of_it(run, tmp_path):
    target = tmp_path / "run"
    result = run(
        "train", "digits", *CNN, "--epochs", 2, "--seed", 1, "--batch-size", 64, "-o", target, COLUMNS="30"
    )
    notes = f"curves: {target / 'curves.png'}\nreport: {target / 'report.html'}\n"
    assert (result.returncode, result.stderr) == (0, notes)
    lines = result.stdout.splitlines()
    header = "  epoch   steps   px      rate     loss  val. loss  val. top-1  photos/s     time     left"
    assert lines[0] == header
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"] and all(map(len, lines[1:3]))
    assert [re.search(r" \d+:\d\d +\d+:\d\d$", line) is not None for line in lines[1:3]] == [True, True]
    assert lines[2].endswith(" 0:00"), "nothing is left"
    assert lines[3] == "" and lines[4].startswith("10 classes, ")
    assert re.search(r"^It (over|under)?fits \(", result.stdout, re.MULTILINE)
    assert re.fullmatch(rf"{target} is ready after \d+\.\d s; try: fieldguide predict {target} PHOTO", lines[-1])
    facts = fg.load(target).facts["training"]
    assert facts["seed"] == 1 and facts["recipe"]["epochs"] == 2 and facts["recipe"]["batch_size"] == 64


def test_several_seeds_give_their_mean_and_spread_and_are_not_trained_twice(run, tmp_path):
    command = ("train", "digits", *CNN, "--epochs", 1, "--seeds", 2, "--seed", 3, "-o", tmp_path / "x.guide")
    result = run(*command)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"x-seed3.guide", "x-seed4.guide"}
    assert digest(tmp_path / "x-seed3.guide") != digest(tmp_path / "x-seed4.guide")
    assert re.search(r"^top-1 over 2 seeds: \d+\.\d %, standard deviation \d+\.\d %$", result.stdout, re.MULTILINE)
    shutil.rmtree(tmp_path / "x-seed4.guide")
    again = run(*command, "--json")
    facts = json.loads(again.stdout)
    assert [each["training"]["seed"] for each in facts] == [3, 4]
    assert [each["evaluation"]["top1"] for each in facts] == [each["metrics"]["top1"] for each in facts]


def test_what_other_orders_left_is_refused_and_what_these_left_is_told_truthfully(run, colours, tmp_path):
    how = ("--size", 32, "--epochs", 1, "--batch-size", 8, "--engine", "torch-cpu", "-o", tmp_path / "x")
    command = ("train", colours, "--model", "lenet", "--set", "precision=float32", *how, "--seeds", 2)
    first = run(*command, "--lr", 0.001)
    assert first.returncode == 0, first.stderr
    again = run(*command, "--lr", 0.001)
    assert again.returncode == 0 and "unknown" not in again.stderr
    assert f"{tmp_path / 'x-seed0'} is there already; it was evaluated when it was trained\n" in again.stderr
    top1 = fg.load(tmp_path / "x-seed0").facts["metrics"]["top1"]
    assert f"top-1     {100 * top1:.1f} %  (95 % interval" in again.stdout
    assert again.stdout.splitlines()[-2] == first.stdout.splitlines()[-2], "mean and spread"
    said = json.loads(run(*command, "--lr", 0.001, "--json").stdout)
    assert [each["evaluation"]["top1"] for each in said] == [each["metrics"]["top1"] for each in said]
    refused = run(*command, "--lr", 0.1)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"fieldguide: {tmp_path / 'x-seed0'} is of lr 0.001, and is now to be of 0.1; choose another --output, or "
        "remove what is there\n"
    )


def test_each_seed_has_a_folder_of_tensorboard_s_files(run, colours, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    how = ("--size", 32, "--epochs", 2, "--batch-size", 8, "--engine", "torch-cpu", "-o", tmp_path / "x")
    command = ("train", colours, "--model", "lenet", "--set", "precision=float32", *how, "--seeds", 2, "--seed", 3)
    result = run(*command, "--tensorboard", tmp_path / "logs")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"seed3", "seed4"}
    for seed in (3, 4):
        log = events.EventAccumulator(str(tmp_path / "logs" / f"seed{seed}")).Reload()
        assert len(log.Scalars("train_loss")) == 2


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small body."""
    tensors = {name: t.numpy() for name, t in create_model("resnet20", num_classes=0).state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    path.write_bytes(serialise(tensors))
    return path


def test_fine_tuning_says_which_guide_stands(run, colours, weights, tmp_path):
    result = run(
        "train", colours, "--finetune", "--backbone", "resnet20", "--weights", weights, "--size", 32,
        "--lr", "1e-30", "--epochs", 1, "--set", "precision=float32", "--engine", "torch-cpu",
        "-o", tmp_path / "x.guide",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^the frozen guide stands: of \d+ validation photos fine-tuning has \d+\.\d % right, frozen features "
        r"\d+\.\d %; 0 only fine-tuning, 0 only frozen features$",
        result.stdout,
        re.MULTILINE,
    )
    assert fg.load(tmp_path / "x.guide").facts["training"]["comparison"]["kept"] == "frozen"


def test_epochs_are_written_for_tensorboard(run, colours, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    how = (
        "--size",
        32,
        "--epochs",
        2,
        "--batch-size",
        8,
        "--set",
        "precision=float32",
        "--set",
        "warmup_epochs=0",
    )
    command = ("train", colours, "--model", "lenet", *how, "--engine", "torch-cpu", "-o", tmp_path / "x.guide")
    result = run(*command, "--tensorboard", tmp_path / "logs")
    assert result.returncode == 0, result.stderr
    log = events.EventAccumulator(str(tmp_path / "logs")).Reload()
    with (tmp_path / "x.guide" / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(log.Tags()["scalars"]) == set(rows[0]) - {"epoch", "step"}
    for name in ("lr", "train_loss", "validation_loss", "validation_top1"):
        told = [(event.step, event.value) for event in log.Scalars(name)]
        assert told == [(int(row["step"]), pytest.approx(float(row[name]), rel=1e-4)) for row in rows], name


def test_tensorboard_that_is_missing_is_named(run, colours, tmp_path):
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "__init__.py").write_text("raise ImportError('not here')")
    command = (
        "train",
        colours,
        "--model",
        "lenet",
        "--tensorboard",
        tmp_path / "logs",
        "-o",
        tmp_path / "x.guide",
    )
    result = run(*command, PYTHONPATH=str(tmp_path))
    assert result.returncode == 2
    assert "--tensorboard needs tensorboard, which is not installed; pip install 'fieldguide[tensorboard]'" in (
        result.stderr
    )


@pytest.mark.parametrize("finetunes", [False, True])
def test_photos_of_a_val_part_that_judge_epochs_are_not_left_out(run, weights, image_folder, tmp_path, finetunes):
    counts = {"train": 6, "val": 3, "test": 4}
    folder = image_folder({f"{part}/{name}": n for part, n in counts.items() for name in ("red", "blue")})
    (folder / "val" / "red" / "bad.png").write_bytes(b"")
    network = ("--finetune", "--backbone", "resnet20", "--weights", weights) if finetunes else ("--model", "lenet")
    how = ("--size", 32, "--lr", "1e-30", "--epochs", 1, "--batch-size", 4, "--set", "precision=float32")
    result = run("train", folder, *network, *how, "--engine", "torch-cpu", "-o", tmp_path / "x.guide")
    assert result.returncode == 0, result.stderr
    judging = "" if finetunes else "6 to judge epochs by, "  # what is fine-tuned no better does not stand
    assert f"\n2 classes, 12 photos to learn from, {judging}8 held out (as given)\n" in result.stdout
    assert "left out" not in result.stderr
    assert "1 photo skipped:\n  val/red/bad.png: empty file\n" in result.stderr
    facts = fg.load(tmp_path / "x.guide").facts
    assert facts["data"]["unused"] == 0 and facts["training"]["num_validation"] == 6


def wait_for(process, condition):
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_stopped_by_signals_it_exits_as_shells_have_it_and_goes_on_to_the_same_bits(run, colours, tmp_path):
    settings = {"precision": "float32", "epochs": 60, "batch_size": 4, "ema": 0.9, "mixup": 0.5, "min_scale": 0.5}
    options = [word for pair in settings.items() for word in ("--set", f"{pair[0]}={pair[1]}")]
    how = ("--recipe", "lesson", "--size", 32, "--engine", "torch-cpu", "--checkpoint-every", 0)
    target = tmp_path / "my run"
    command = ["train", colours, "--model", "lenet", *how, *options, "-o", target]
    steps = 0
    for number in (signal.SIGTERM, signal.SIGINT):
        words = [sys.executable, "-m", "fieldguide", *map(str, command)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        checkpoints = target / "training" / "checkpoints"
        wait_for(process, lambda: max([0, *(int(p.name) for p in checkpoints.glob("0*"))]) > steps)  # noqa: B023
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 128 + number, errors
        said = re.fullmatch(
            r"fieldguide: stopped at step (\d+) of \d+, which is kept; go on with: "
            r"(fieldguide train --resume .*)\n",
            errors,
        )
        assert said, errors
        steps = int(said[1])
        command = [*shlex.split(said[2])[1:], "--checkpoint-every", "0"]
    assert command[:3] == ["train", "--resume", str(target)]
    refused = run("train", colours, "--model", "lenet", "-o", target)
    assert refused.returncode == 2 and "holds an unfinished run; go on with: fieldguide train" in refused.stderr
    result = run(*command[:3], "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["training"]["steps"] > steps
    fg.train_network(
        str(colours), model="lenet", output=tmp_path / "whole", recipe="lesson", settings=settings, size_px=32,
        engine="torch-cpu",
    )  # fmt: skip
    assert digest(target) == digest(tmp_path / "whole")
    finished = run(*command[:3])
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        f"fieldguide: {target} is finished: it is a guide; try: fieldguide evaluate {target} PHOTOS\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_several_seeds_that_are_stopped_say_how_all_go_on(run, colours, tmp_path):
    how = ("--recipe", "lesson", "--size", 32, "--engine", "torch-cpu", "--set", "precision=float32")
    command = ["train", colours, "--model", "lenet", *how, "--batch-size", 4, "--seeds", 2, "-o", tmp_path / "x"]
    words = [sys.executable, "-m", "fieldguide", *map(str, command), "--epochs", "500", "--checkpoint-every", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(process, lambda: any((tmp_path / "x-seed0" / "training").glob("checkpoints/0*")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    assert re.search(
        r"go on with: fieldguide train --resume .*/x-seed0; the same command again goes on with all 2 seeds\n$",
        errors,
    ), errors


def stop_at_the_third_step(stage, done, total):
    if stage == "steps" and done == 3:
        os.kill(os.getpid(), signal.SIGTERM)


TINY = {"size_px": 32, "settings": {"epochs": 2, "batch_size": 4, "precision": "float32"}}


@pytest.fixture
def desk(colours, weights, saved_guide, tmp_path, monkeypatch):
    """A working directory with photos, weights and a body."""
    shutil.copytree(colours, tmp_path / "photos")
    shutil.copy(weights, tmp_path / "some.safetensors")
    shutil.copytree(saved_guide, tmp_path / "body")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("begin", "options"),
    [
        (fg.train_network, {"model": "lenet", "engine": "torch-cpu"}),
        (fg.finetune, {"backbone": "resnet20", "weights": "some.safetensors"}),
        (fg.finetune, {"backbone": "body/"}),
        (fg.pretrain, {"model": "resnet9", "arguments": {"width": 0.05}}),
    ],
    ids=["from nothing", "fine-tuning a file", "fine-tuning a folder", "without labels"],
)
def test_it_goes_on_from_another_folder(run, desk, monkeypatch, begin, options):
    with pytest.raises(StoppedError, match="go on with"):
        begin("photos", output="run", on_progress=stop_at_the_third_step, **options, **TINY)
    (desk / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    result = run("pretrain" if begin is fg.pretrain else "train", "--resume", "../run", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["data"]["name"] == "photos"


def test_a_loss_that_is_no_number_is_one_line(run, tmp_path):
    result = run("train", "digits", *CNN, "--lr", "1e30", "-o", tmp_path / "x")
    assert result.returncode == 2
    assert re.fullmatch(
        r"fieldguide: the loss is (nan|inf) at step \d+ of \d+, at the learning rate 1e\+30; no step was kept; "
        rf"remove {tmp_path}/x/training, or name another output, and try a lower one, such as --set lr=1e\+29, or "
        r"--set clip_norm=1\n",
        result.stderr,
    )


MISTAKES = {
    "digits --model mlp --backbone resnet18": "--model begins from nothing; leave --backbone out, .*",
    "digits --model mlp --weights x": "--model begins from nothing; leave --weights out, or leave --model out",
    "digits --model mlp --finetune": "--model begins from nothing, and --finetune with a pretrained .*",
    "digits --recipe strong": "--recipe is for training a network; add --finetune, or --model NAME",
    "digits --set lr=1": "--set is for training a network; add --finetune, or --model NAME",
    "digits --epochs 3": "--epochs is for training a network; add --finetune, or --model NAME",
    "digits --seeds 3": "--seeds is for training a network; add --finetune, or --model NAME",
    "digits --model mlp --seeds 2 -o .": r"--output \. has no name to number guides by; name a new folder",
    "digits --width 0.5": "--width is of a network from nothing; add --model NAME",
    "digits --finetune -a width=1": "--argument is of a network from nothing; add --model NAME",
    "--resume x --epochs 3": "--resume goes on with what its run was told to do; leave --epochs out",
    "digits --resume x": "--resume goes on with what its run was told to do; leave DATA out",
    "--resume x -o y": "--resume goes on with what its run was told to do; leave --output out",
    "digits --model mlp --set lr": r"--set lr is not of the form NAME=VALUE, such as epochs=5",
    "digits --model mlp -a =3": r"--argument =3 is not of the form NAME=VALUE, such as width=0.5",
    "digits --model mlp --set lr=fast": "lr is 'fast'; it must be a number",
    "digits --model mlp --set lr=1 --set lr=2": "--set lr=1 and --set lr=2 contradict each other; leave one of .*",
    "digits --model mlp --set lr=1 --lr 2": "--lr 2.0 and --set lr=1 contradict each other; leave one of them out",
    "digits --model mlp --set epochs=1 --epochs 2": "--epochs 2.0 and --set epochs=1 contradict each other; .*",
    "digits --model mlp --set balance=sampling --balanced": "--balanced and --set balance=sampling contradict .*",
    "digits --model mlp --set deterministic=no --deterministic": "--deterministic and --set deterministic=no .*",
    "digits --deterministic": "--deterministic is for training a network; add --finetune, or --model NAME",
    "digits --model mlp --teacher x --set hard=no --hard": "--hard and --set hard=no contradict each other; .*",
    "digits --model mlp --width 0.5 -a width=1": "--width 0.5 and --argument width=1 contradict each other; .*",
    "digits --model mlp --set dropout=0.5 -o x": "dropout is 0.5, but mlp has no dropout; leave it out",
    "digits --model mlp --recipe my.toml": "the recipe my.toml can't be read: No such file or directory",
    "digits --model mlp --set epoch=3": "no setting of a recipe is called 'epoch', did you mean 'epochs'.*",
    "digits --model mlp --recipe strong --balanced": "mixup mixes photos of two classes, and balance=weights .*",
    "digits --model mlp -a depth=3": "mlp takes no argument 'depth'; it takes in_channels, .*",
    "digits --model mlp -o x.zip": r"x\.zip: a run is kept in a folder; name one, such as x",
    "digits --model mlp --freeze stage1": "freeze is stage1, but a network from nothing has nothing worth .*",
    "--resume none": "none holds no unfinished run; expected the folder that 'fieldguide train -o' names",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(run, tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    result = run("train", *shlex.split(mistake))
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    pattern = rf"fieldguide: (Invalid value: )?{MISTAKES[mistake]}(\. See: fieldguide( train)? --help)?\n"
    assert re.fullmatch(pattern, result.stderr), result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names
