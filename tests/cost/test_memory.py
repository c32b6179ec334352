"""Peak memory in real processes: measured, held to a limit, and really killed."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fieldguide.cost import memory
from fieldguide.cost.memory import available_bytes, measure_memory, total_bytes
from fieldguide.cost.memory_profile import BatchMemory, MemoryProfile
from fieldguide.errors import EngineError, UnknownNameError

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="watches processes through /proc")

SHAPE = (3, 64, 64)
MB = 10**6


def profile(*peaks: tuple[int, int], limit: int = 1000, out: int | None = None) -> MemoryProfile:
    batches = [
        BatchMemory(batch_size=size, peak_bytes=peak, network_bytes=1, step_bytes=1) for size, peak in peaks
    ]
    if out is not None:
        batches.append(BatchMemory(batch_size=out, fault="went over", is_out_of_memory=True))
    return MemoryProfile(
        name="x", size_px=8, is_training=False, device="cpu", limit_bytes=limit, batches=tuple(batches)
    )


# What is made of the measurements


def test_the_line_through_the_peaks_predicts_the_largest_batch():
    found = profile((1, 110), (4, 140), (8, 180), limit=1005)
    assert found.line == pytest.approx((100, 10))
    assert found.largest_batch == 90 and found.last_good == 8
    assert found.to_dict()["largest_batch"] == 90 and found.to_dict()["bytes_per_image"] == 10


def test_the_prediction_does_not_speak_against_what_was_measured():
    assert profile((1, 110), (4, 140), out=16).largest_batch == 15, "16 did not fit"
    assert profile((1, 110), (64, 740), limit=700).largest_batch == 64, "64 did"
    assert profile((1, 5000), (4, 5030), out=8, limit=1).largest_batch == 4


def test_the_prediction_is_by_the_line_above_all_peaks():
    found = profile((1, 110), (2, 150), (3, 130), limit=1005)
    assert found.line == pytest.approx((110, 10))
    assert found.largest_batch == 87, "150 at 2 is 20 above the line: (1005 - 130) / 10"


@pytest.mark.parametrize("found", [profile(), profile((8, 100)), profile((1, 100), (8, 100)), profile(out=1)])
def test_without_a_rising_line_there_is_no_prediction(found):
    assert found.line is None and found.largest_batch is None
    assert found.to_dict()["bytes_per_image"] is None


# Real processes


def test_peaks_grow_with_the_batch_and_training_takes_more():
    seen = []
    found = measure_memory(
        "resnet18", [16, 1, 16], input_shape=(3, 128, 128), on_progress=lambda *facts: seen.append(facts)
    )
    small, large = found.batches
    assert (small.batch_size, large.batch_size, found.untried) == (1, 16, ())
    assert all(b.fits and not b.fault and b.peak_bytes > b.network_bytes > b.step_bytes > 0 for b in found.batches)
    # The stem's map alone is 16 x 64 x 64 x 64 float32, 16.8 MB, 15 of 16 parts of it more than for one image.
    assert large.peak_bytes - small.peak_bytes > 15 * MB
    assert small.network_bytes > 11_689_512 * 4, "the weights"
    assert found.largest_batch > 16
    assert [done for _, done, _ in seen][:3] == [0, 1, 2] and seen[0] == ("batches", 0, 2)
    trained = measure_memory("resnet18", [16], input_shape=(3, 128, 128), training=True).batches[0]
    # Gradients and two moments are three times the weights, and activations are kept
    assert trained.step_bytes > large.step_bytes + 3 * 11_689_512 * 4


@linux_only
def test_a_child_that_goes_over_the_limit_is_ended_and_the_last_good_batch_known():
    first = measure_memory("resnet18", [1], input_shape=SHAPE).batches[0]
    limit = first.peak_bytes + 60 * MB
    found = measure_memory("resnet18", [1, 256, 512, 1024], input_shape=SHAPE, limit_bytes=limit)
    assert [b.fits for b in found.batches] == [True, False] and found.untried == (512, 1024)
    assert found.batches[1].fault == f"went over {limit / 1e9:.2f} GB" and found.batches[1].is_out_of_memory
    assert found.last_good == 1 and found.limit_bytes == limit
    assert measure_memory("resnet18", [1], input_shape=SHAPE, limit_bytes=MB).last_good is None, (
        "not even torch fits"
    )


@linux_only
def test_what_the_system_refuses_is_told_in_gigabytes():
    """A million images at once are 49 GB; where a machine has them, the limit is reached."""
    found = measure_memory("resnet18", [1_000_000], input_shape=(3, 64, 64), limit_bytes=400 * MB).batches[0]
    assert found.is_out_of_memory
    assert re.fullmatch(r"out of memory: 49\.15 GB more could not be had|went over 0\.40 GB", found.fault)


@linux_only
def test_a_child_that_the_system_kills_is_told_of_and_the_caller_lives():
    """SIGKILL is what the kernel sends when memory runs out; here a thread sends it to the second child."""
    killed = []

    def kill_the_next_child(stage: str, done: int, total: int) -> None:
        if done == 1:
            threading.Thread(target=kill, daemon=True).start()

    def kill() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for status in Path("/proc").glob("[0-9]*/stat"):
                try:
                    is_ours = int(status.read_text().rpartition(")")[2].split()[1]) == os.getpid()
                    is_child = b"_memory_child" in (status.parent / "cmdline").read_bytes()
                except (OSError, ValueError):
                    continue
                if is_ours and is_child:
                    os.kill(int(status.parent.name), signal.SIGKILL)
                    killed.append(int(status.parent.name))
                    return
            time.sleep(0.01)

    found = measure_memory("resnet18", [1, 2, 4], input_shape=SHAPE, on_progress=kill_the_next_child)
    assert killed
    assert [b.fits for b in found.batches] == [True, False] and found.untried == (4,)
    assert found.batches[1].fault == "killed by the system, as it does when memory runs out"
    assert found.last_good == 1


def test_a_child_that_fails_otherwise_is_told_of_and_larger_batches_go_on():
    """In training, batch normalisation refuses one image whose maps are one pixel."""
    found = measure_memory("resnet18", [1, 2], input_shape=(3, 32, 32), training=True)
    assert not found.batches[0].is_out_of_memory and "more than 1 value per channel" in found.batches[0].fault
    assert found.batches[1].fits and found.last_good == 2


def test_a_child_that_crashes_says_with_what(monkeypatch):
    real = subprocess.Popen
    code = "import sys; sys.stderr.write('first\\nlast words'); sys.exit(3)"
    monkeypatch.setattr(memory.subprocess, "Popen", lambda _, **kw: real([sys.executable, "-c", code], **kw))
    found = measure_memory("resnet18", [1], input_shape=SHAPE)
    assert (
        found.batches[0].fault == "the process ended with 3: last words" and not found.batches[0].is_out_of_memory
    )


# Networks whose training output is not one tensor


def test_auxiliary_classifiers_are_trained_too():
    found = measure_memory("googlenet", [2], input_shape=(3, 224, 224), training=True)
    assert found.batches[0].fits, found.batches[0].fault


# What the machine has


@linux_only
def test_what_is_free_is_the_least_that_anyone_leaves(tmp_path, monkeypatch):
    assert 0 < available_bytes() < 1 << 50 and available_bytes() < total_bytes() < 1 << 50
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    machine = total_bytes()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("500\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("120\n")
    assert (available_bytes(), total_bytes()) == (380, 500)
    (tmp_path / "memory.max").write_text("90\n")
    assert (available_bytes(), total_bytes()) == (0, 90)
    (tmp_path / "memory.max").write_text(f"{1 << 60}\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").unlink()
    assert 380 < available_bytes() < total_bytes() == machine


def test_a_system_that_does_not_say_is_an_error(monkeypatch):
    def refuse(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(memory.Path, "read_text", refuse)
    monkeypatch.setattr(memory.sys, "platform", "plan9")
    with pytest.raises(EngineError, match="plan9 doesn't say how much memory is free; pass --limit GB"):
        available_bytes()
    monkeypatch.setattr(memory.os, "sysconf", refuse)
    assert total_bytes() == 8 << 30


def test_nonsense_is_refused_before_any_process_starts(monkeypatch):
    monkeypatch.setattr(memory.subprocess, "Popen", None)
    for sizes in ([], [0, 1], [4, -1], [1, 10**9]):
        with pytest.raises(ValueError, match=rf"batch sizes are \[{', '.join(map(str, sizes))}\]"):
            measure_memory("resnet18", sizes, input_shape=SHAPE)
    with pytest.raises(ValueError, match="limit_bytes is 0"):
        measure_memory("resnet18", [1], input_shape=SHAPE, limit_bytes=0)
    with pytest.raises(ValueError, match=r"8x8 px; this network takes 32x32 px or more"):
        measure_memory("resnet18", [1], input_shape=(3, 8, 8))
    with pytest.raises(UnknownNameError, match="no model is called 'resnet180'"):
        measure_memory("resnet180", [1], input_shape=SHAPE)
