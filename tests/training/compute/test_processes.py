"""Several processes that train together, started as a user starts them: by torchrun and by accelerate launch."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fieldguide as fg
from fieldguide import launched
from fieldguide.errors import TrainingError
from fieldguide.models import create_model
from fieldguide.training import pretraining
from fieldguide.training.compute.processes import OneProcess, SeveralProcesses, find_processes, is_first_to_fail
from fieldguide.training.photos.lesson_photos import LessonPhotos
from fieldguide.training.preparation import check_all_see_the_same
from fieldguide.weights.tensors import serialise

pytest.importorskip("accelerate")
pytestmark = pytest.mark.xdist_group("several processes")  # two of them keep two cores busy

HERE = Path(__file__).parent
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
SETTINGS = ("--size", 32, "--batch-size", 16, "--set", "precision=float32", "--set", "shift=0.1")
PLAIN = ("--model", "multilayer_cnn", "--epochs", 40, "--lr", 0.005, "--set", "clip_norm=1", *SETTINGS)


def start(*command: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def train(*arguments: object, launcher: tuple[object, ...] = TORCHRUN) -> subprocess.CompletedProcess[str]:
    return finish(start(*launcher, "-m", "fieldguide", "train", *arguments))


def said(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("fieldguide:")]


def tensors(guide: fg.Guide) -> dict[str, np.ndarray]:
    head = {"head.weight": guide.head.weight, "head.bias": guide.head.bias}
    return {**guide.backbone.weights.tensors, **head}


def largest_difference(ours: Path, theirs: Path) -> float:
    a, b = tensors(fg.load(ours)), tensors(fg.load(theirs))
    assert a.keys() == b.keys()
    return max(float(np.abs(a[name] - b[name]).max()) for name in a)


def history(guide: Path) -> np.ndarray:
    """(epochs, 3): loss, validation loss, validation top-1."""
    table = np.genfromtxt(guide / "history.csv", delimiter=",", names=True)
    return np.stack([np.atleast_1d(table[n]) for n in ("train_loss", "validation_loss", "validation_top1")], 1)


COLOURS = np.array([(40, 60, 190), (40, 180, 60), (190, 40, 40), (190, 180, 60)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """64 photos to learn from, 37 to judge epochs by: neither 2 processes nor their batches share them evenly."""
    place = tmp_path_factory.mktemp("processes") / "photos"
    for part, count in (("train", 64), ("val", 37), ("test", 8)):
        for number in range(count):
            path = place / part / f"colour {number % 4}" / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number + 1000 * len(part)).integers(0, 60, (32, 32, 3))
            Image.fromarray((COLOURS[number % 4] + noise).astype(np.uint8)).save(path)
    return place


@pytest.fixture(scope="module")
def plain(folder) -> Path:
    """What two processes learn that nothing interrupts; no batch normalisation."""
    target = folder.parent / "plain"
    result = train(folder, *PLAIN, "-o", target)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len([line for line in lines if "val. top-1" in line]) == 1, "the first process speaks for all"
    assert len([line for line in lines if "is ready after" in line]) == 1
    return target


# In two processes

CHECKS = re.findall(r"^def (check_\w+)", (HERE / "in_two_processes.py").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def faults(folder, tmp_path_factory) -> dict[str, str]:
    """What went wrong, by check."""
    result = finish(start(*TORCHRUN, HERE / "in_two_processes.py", tmp_path_factory.mktemp("checks"), folder))
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_in_two_processes(name, faults):
    assert not faults[name], faults[name]


# One and two processes


def test_two_processes_learn_what_one_does_in_two_parts(plain, folder, tmp_path):
    result = train(folder, *PLAIN, "--set", "accumulate=2", "-o", tmp_path / "one", launcher=())
    assert result.returncode == 0, result.stderr
    assert largest_difference(plain, tmp_path / "one") < 1e-5
    np.testing.assert_allclose(history(plain), history(tmp_path / "one"), rtol=1e-5)
    assert (history(plain)[:, 2] == history(tmp_path / "one")[:, 2]).all(), "of 37 photos, a share is a share"


def test_where_fine_tuning_in_two_processes_is_no_better_the_frozen_guide_stands(folder, tmp_path):
    weights = tmp_path / "resnet20.safetensors"
    tensors = {name: t.numpy() for name, t in create_model("resnet20", num_classes=0).state_dict().items()}
    weights.write_bytes(serialise(tensors))
    how = ("--backbone", "resnet20", "--weights", weights, "--size", 32, "--engine", "torch-cpu")
    learning = ("--epochs", 1, "--lr", "1e-30", "--batch-size", 16, "--set", "precision=float32")
    result = train(folder, "--finetune", *how, *learning, "-o", tmp_path / "tuned")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("the frozen guide stands: of 37 validation photos") == 1
    plain = train(folder, *how, "-o", tmp_path / "plain", launcher=())
    assert plain.returncode == 0, plain.stderr
    assert largest_difference(tmp_path / "tuned", tmp_path / "plain") == 0


# Interruptions


def begin(folder: Path, target: Path, launcher: tuple[object, ...] = TORCHRUN) -> subprocess.Popen[str]:
    """Begin what ``plain`` does, and return when some steps are kept."""
    arguments = ("-m", "fieldguide", "train", folder, *PLAIN, "-o", target, "--checkpoint-every", 0)
    process = start(*launcher, *arguments)
    deadline = time.monotonic() + 60
    while not list(target.glob("training/checkpoints/0*")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    return process


def go_on(target: Path) -> None:
    result = train("--resume", target)
    assert result.returncode == 0, result.stderr
    assert len([line for line in result.stdout.splitlines() if "is ready after" in line]) == 1


def test_two_processes_that_are_stopped_go_on_to_the_same_bits(plain, folder, tmp_path):
    process = begin(folder, tmp_path / "run")
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    (message,) = said(result)
    assert re.search(r"stopped at step \d+ of 160, which is kept; go on with: .* --resume", message)
    go_on(tmp_path / "run")
    assert largest_difference(plain, tmp_path / "run") == 0
    assert (history(plain) == history(tmp_path / "run")).all()


def test_what_one_process_began_two_go_on_with(plain, folder, tmp_path):
    process = begin(folder, tmp_path / "run", launcher=())
    process.send_signal(signal.SIGTERM)
    assert finish(process).returncode == 128 + signal.SIGTERM
    go_on(tmp_path / "run")
    assert largest_difference(plain, tmp_path / "run") < 1e-3


def test_a_process_that_is_killed_ends_the_run_and_two_go_on(plain, folder, tmp_path):
    process = begin(folder, tmp_path / "run")
    os.kill(_workers(process.pid)[-1], signal.SIGKILL)
    result = finish(process)
    assert result.returncode
    assert len(said(result)) == 1, result.stderr
    (message,) = said(result)
    assert re.search(r"process \d of 2 lost another one, which was killed or failed", message)
    go_on(tmp_path / "run")
    assert largest_difference(plain, tmp_path / "run") == 0


def _workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [
        int(child)
        for child in children
        if b"fieldguide" in (command := Path(f"/proc/{child}/cmdline").read_bytes()) and b"train" in command
    ]


# Errors


def test_what_is_wrong_is_said_once(folder, tmp_path):
    result = train(tmp_path / "nowhere", *PLAIN, "-o", tmp_path / "run")
    (message,) = said(result)
    assert "nowhere" in message
    assert result.returncode and "Traceback" not in result.stderr.split("fieldguide:")[0]


def test_a_batch_that_cannot_be_shared_out_is_refused_once(folder, tmp_path):
    result = train(folder, *PLAIN, "--batch-size", 15, "-o", tmp_path / "run")
    (message,) = said(result)
    assert "batch_size is 15, which can't be shared out to 2 processes in 1 parts each" in message
    assert re.search(r"exitcode\s*:\s*2\b", result.stderr)


def test_a_launcher_that_is_only_half_there_is_named(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(TrainingError, match=r"WORLD_SIZE is 3, .* LOCAL_RANK is not set; .* torchrun"):
        find_processes()


def test_accelerate_that_is_missing_is_named(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(TrainingError, match=r"accelerate, .* pip install 'fieldguide\[distributed\]'"):
        find_processes()


class _Elsewhere(OneProcess):
    """One of two processes; the other one finds the photos ``found``."""

    count, rank = 2, 1

    def once(self, act):
        return "another fingerprint"


def test_photos_that_differ_between_machines_are_refused():
    class Photos:
        fingerprint = "0123456789abcdef"
        everything = type("Set", (), {"name": "photos/"})

    photos: LessonPhotos = Photos()
    check_all_see_the_same(photos, OneProcess())
    with pytest.raises(
        TrainingError, match=r"2 processes see different photos of photos/ \(process 1 .*0123456789ab"
    ):
        check_all_see_the_same(photos, _Elsewhere())


def test_without_labels_photos_that_differ_between_machines_are_refused_too(folder, monkeypatch):
    monkeypatch.setattr(pretraining, "find_processes", _Elsewhere)
    with pytest.raises(TrainingError, match=r"2 processes see different photos of .*photos \(process 1"):
        pretraining.pretrain(folder, model="resnet20", size_px=32)


# Who is who


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert (launched.num_processes(), launched.num_processes_here(), launched.rank()) == (1, 1, 0)
    assert isinstance(find_processes(), OneProcess)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert (launched.num_processes(), launched.rank()) == (1, 0)


def test_a_launcher_tells_who_is_who(monkeypatch):
    for name, value in {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5"}.items():
        monkeypatch.setenv(name, value)
    assert (launched.num_processes(), launched.num_processes_here(), launched.rank()) == (8, 4, 5)
    assert not is_first_to_fail(), "before they meet, the process of rank 0 speaks"


def test_one_process_and_several_offer_the_same():
    offered = {name for name in vars(SeveralProcesses) if not name.startswith("_")}
    assert offered == {name for name in vars(OneProcess) if not name.startswith("_")} - {"count", "rank"}


def test_accelerate_launch_starts_two_processes(plain, folder, tmp_path):
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1,
                "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", 0)  # fmt: skip
    result = finish(start(*launcher, "-m", "fieldguide", "train", folder, *PLAIN, "-o", tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    assert largest_difference(plain, tmp_path / "run") == 0
