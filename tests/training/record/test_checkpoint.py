"""Checkpoints: whole or not there, the last two and the best, and an optimiser goes on as if never stopped."""

import errno
import json
import os
import resource
import subprocess
import sys

import pytest
import torch
from torch import nn

from fieldguide.errors import TrainingError
from fieldguide.training.record import checkpoint as module
from fieldguide.training.record.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    clear_after,
    flatten_optimiser,
    read_best,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)


def at(step, best_step=None):
    """A checkpoint whose tensor says which it is."""
    state = {"loss": 0.1 * step, "best_step": best_step}
    return Checkpoint(step, {"weight": torch.full((3,), float(step))}, {"state": state})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_read(tmp_path):
    tensors = {
        "floats": torch.randn(2, 3),
        "halves": torch.randn(4).bfloat16(),
        "count": torch.tensor(7),
        "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "a view": torch.randn(4, 4).T,
    }
    facts = {"state": {"loss": 0.1 + 0.2, "best": None}, "groups": [{"lr": 1e-45}]}
    write_checkpoint(tmp_path, Checkpoint(12, tensors, facts))
    read = read_checkpoint(tmp_path)
    assert (read.step, read.facts) == (12, facts)
    assert read.tensors.keys() == tensors.keys()
    assert all(torch.equal(read.tensors[name], tensor) for name, tensor in tensors.items())
    assert all(read.tensors[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_the_last_two_and_the_best_are_kept(tmp_path):
    for step in (5, 10, 200, 1000):
        write_checkpoint(tmp_path, at(step))
    for step in (7, 900):
        write_checkpoint(tmp_path, at(step), BEST)
    assert names(tmp_path) == ["000000200", "000001000", "best-000000900"]
    assert names(tmp_path / "000000200") == ["state.json", "tensors.safetensors"]
    assert read_checkpoint(tmp_path).step == 1000 and read_best(tmp_path, 900).step == 900


def test_the_best_that_one_of_the_last_two_refers_to_is_kept(tmp_path):
    write_checkpoint(tmp_path, at(7), BEST)
    write_checkpoint(tmp_path, at(10, 7))
    for step in (20, 30):  # killed after either, the run goes on from step 10
        write_checkpoint(tmp_path, at(step), BEST)
        assert names(tmp_path) == ["000000010", "best-000000007", f"best-0000000{step}"]
    write_checkpoint(tmp_path, at(31, 30))
    write_checkpoint(tmp_path, at(40), BEST)
    assert names(tmp_path)[2:] == ["best-000000007", "best-000000030", "best-000000040"]
    write_checkpoint(tmp_path, at(41, 40))
    (tmp_path / "000000041" / "state.json").write_text("{")
    write_checkpoint(tmp_path, at(50), BEST)
    assert names(tmp_path) == ["000000031", "000000041", "best-000000030", "best-000000050"]


def test_what_a_killed_run_made_after_a_step_is_cleared_away(tmp_path):
    for step in (9, 12):
        write_checkpoint(tmp_path, at(step, 9))
    for step in (9, 900):
        write_checkpoint(tmp_path, at(step), BEST)
    clear_after(tmp_path, 12)
    assert names(tmp_path) == ["000000009", "000000012", "best-000000009"]
    clear_after(tmp_path, 9)
    assert names(tmp_path) == ["000000009", "best-000000009"]
    clear_after(tmp_path, 0)
    clear_after(tmp_path / "none", 0)
    assert names(tmp_path) == []


def test_the_best_of_another_step_is_not_taken(tmp_path):
    write_checkpoint(tmp_path, at(900), BEST)
    with pytest.raises(TrainingError, match=r"best-000000009 is damaged: .*No such file"):
        read_best(tmp_path, 9)


def test_where_there_is_none_none_is_read(tmp_path):
    assert read_checkpoint(tmp_path / "none") is None
    write_checkpoint(tmp_path, at(3), BEST)
    assert read_checkpoint(tmp_path) is None, "the best weights are no state to go on from"


DAMAGE = {
    "a missing file": lambda place: (place / "tensors.safetensors").unlink(),
    "a changed byte": lambda place: _change_a_byte(place / "tensors.safetensors"),
    "a file cut short": lambda place: (place / "tensors.safetensors").write_bytes(b"\x00" * 20),
    "no JSON": lambda place: (place / "state.json").write_text("{"),
    "JSON of something else": lambda place: (place / "state.json").write_text("5"),
    "JSON without a checksum": lambda place: (place / "state.json").write_text('{"format_version": 1, "step": 2}'),
}


def _change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_passed_over_for_the_one_before_and_mended_by_the_next(tmp_path, damage):
    write_checkpoint(tmp_path, at(1))
    write_checkpoint(tmp_path, at(2))
    DAMAGE[damage](tmp_path / "000000002")
    assert read_checkpoint(tmp_path).step == 1
    write_checkpoint(tmp_path, at(2))  # as the run does that goes on from step 1
    read = read_checkpoint(tmp_path)
    assert read.step == 2 and torch.equal(read.tensors["weight"], at(2).tensors["weight"])


def test_where_all_are_damaged_each_is_named(tmp_path):
    for step in (1, 2):
        write_checkpoint(tmp_path, at(step))
        _change_a_byte(tmp_path / f"00000000{step}" / "tensors.safetensors")
    message = (
        r"000000002 is damaged: tensors\.safetensors does not match its checksum in state\.json; .*"
        rf"000000001 is damaged: .*; remove {tmp_path.parent}, and start the run again$"
    )
    with pytest.raises(TrainingError, match=message):
        read_checkpoint(tmp_path)


def test_one_of_a_newer_format_is_refused(tmp_path):
    write_checkpoint(tmp_path, at(1))
    write_checkpoint(tmp_path, at(2))
    state = tmp_path / "000000002" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "format_version": 9}))
    message = "000000002 has format 9; this fieldguide reads formats up to 1: pip install --upgrade fieldguide"
    with pytest.raises(TrainingError, match=message):
        read_checkpoint(tmp_path)


# Disks that are full, and kills


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
@pytest.mark.parametrize("kind", [LAST, BEST])
def test_a_full_disk_leaves_those_before_and_says_so(tmp_path, monkeypatch, file, kind):
    for step in (1, 2):
        write_checkpoint(tmp_path, at(step), kind)
    before = names(tmp_path)
    write = module._write

    def half(path, content):
        write(path, content[: len(content) // 2] if path.name == file else content)
        if path.name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write", half)
    message = (
        rf"{kind}000000003 can't be written: No space left on device; the checkpoints before it are whole: make "
        "room and go on with --resume"
    )
    with pytest.raises(TrainingError, match=message):
        write_checkpoint(tmp_path, at(3), kind)
    assert names(tmp_path) == before
    assert (read_best(tmp_path, 2) if kind == BEST else read_checkpoint(tmp_path)).step == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_file_that_may_not_grow_is_such_a_disk(tmp_path):
    write_checkpoint(tmp_path, at(1))
    code = (
        "import resource, signal, sys, torch\nfrom pathlib import Path\n"
        "from fieldguide.training.record.checkpoint import Checkpoint, write_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "write_checkpoint(Path(sys.argv[1]), Checkpoint(2, {'weight': torch.zeros(90000)}, {}))\n"
    )
    failed = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert "TrainingError" in failed.stderr and "000000002 can't be written: File too large; the" in failed.stderr
    assert names(tmp_path) == ["000000001"] and read_checkpoint(tmp_path).step == 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20000


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path):
    write_checkpoint(tmp_path, at(1))
    (tmp_path / ".000000002.ab12.tmp").mkdir()
    (tmp_path / ".000000002.ab12.tmp" / "tensors.safetensors").write_bytes(b"half")
    assert read_checkpoint(tmp_path).step == 1
    write_checkpoint(tmp_path, at(2))
    assert names(tmp_path) == ["000000001", "000000002"]


# Optimisers

OPTIMISERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "sgd without momentum": lambda groups: torch.optim.SGD(groups, lr=0.1),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.1),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.1),
}


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimiser_goes_on_as_if_never_stopped(tmp_path, kind, steps):
    def network():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
        groups = [
            {"params": list(made[0].parameters()), "weight_decay": 0.1},
            {"params": list(made[1].parameters())},
        ]
        return made, OPTIMISERS[kind](groups)

    def learn(made, optimiser, count):
        for number in range(count):
            optimiser.param_groups[0]["lr"] = 0.1 / (number + 1)
            optimiser.zero_grad()
            made(torch.ones(3, 4)).square().mean().backward()
            optimiser.step()

    made, optimiser = network()
    learn(made, optimiser, steps)
    tensors, groups = flatten_optimiser(optimiser)
    write_checkpoint(tmp_path, Checkpoint(steps, {f"o.{n}": t for n, t in tensors.items()}, {"groups": groups}))
    again, restored = network()
    again.load_state_dict(made.state_dict())
    read = read_checkpoint(tmp_path)
    restore_optimiser(restored, {n.removeprefix("o."): t for n, t in read.tensors.items()}, read.facts["groups"])
    learn(made, optimiser, 4)
    learn(again, restored, 4)
    assert all(map(torch.equal, made.parameters(), again.parameters()))
    ours, theirs = optimiser.state_dict(), restored.state_dict()
    assert json.dumps(ours["param_groups"]) == json.dumps(theirs["param_groups"])
    assert ours["state"].keys() == theirs["state"].keys()
