"""Peak memory by batch size, measured in processes of their own.

Each batch runs in a child, which this process watches: where the memory runs out it is the child that ends, killed
here because it went over the limit, or by the system, and the caller lives on.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fieldguide.cost.memory_profile import BatchMemory, MemoryProfile
from fieldguide.errors import EngineError
from fieldguide.progress import Progress, silent

STAGE = "batches"  # of the progress
MOST_IMAGES = 1_000_000  # of a batch: beyond it torch's indices end, before any memory does

_POLL_S = 0.01
_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_FILES = (  # (limit, usage), of version 2 and of version 1
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def measure_memory(
    name: str,
    batch_sizes: Sequence[int],
    *,
    input_shape: tuple[int, int, int],
    training: bool = False,
    limit_bytes: int | None = None,
    on_progress: Progress = silent,
) -> MemoryProfile:
    """Measure the peak memory of a step by batch size: of the graphics card where there is one, else main memory.

    A step is a forward pass in inference mode; or, for training, two steps of forward, backward and AdamW, so that
    the optimiser's moments are in place while the second computes.

    Args:
        name: of a model, as of :func:`fieldguide.create_model`.
        batch_sizes: from the smallest to the largest they are tried, until one runs out of memory.
        input_shape: (C, H, W) of an image.
        training: measure training.
        limit_bytes: what a process may take; by default what the machine has free.
        on_progress: called as batches are done.

    Raises:
        UnknownNameError: there is no such model.
        ValueError: there is no batch size, or one that is not from 1 to MOST_IMAGES; the limit is below 1; or the
            network can't take such images.
        EngineError: this system doesn't say how much memory a process takes.
    """
    sizes = sorted(set(batch_sizes))
    if not sizes or sizes[0] < 1 or sizes[-1] > MOST_IMAGES:
        raise ValueError(
            f"batch sizes are {list(batch_sizes)}; they must be from 1 to {MOST_IMAGES}, one at least"
        )
    if limit_bytes is not None and limit_bytes < 1:
        raise ValueError(f"limit_bytes is {limit_bytes}; it must be 1 or more")
    _check_runs(name, input_shape)
    device = _device()
    limit = limit_bytes if limit_bytes is not None else available_bytes(device)
    done: list[BatchMemory] = []
    on_progress(STAGE, 0, len(sizes))
    for size in sizes:
        task = {
            "name": name,
            "shape": [size, *input_shape],
            "training": training,
            "device": device,
            "limit": limit,
        }
        done.append(_measure_in_child(task))
        on_progress(STAGE, len(done), len(sizes))
        if done[-1].is_out_of_memory:
            break
    on_progress(STAGE, len(sizes), len(sizes))
    return MemoryProfile(
        name=name,
        size_px=input_shape[-1],
        is_training=training,
        device=device,
        limit_bytes=limit,
        batches=tuple(done),
        untried=tuple(sizes[len(done) :]),
    )


def available_bytes(device: str = "cpu") -> int:
    """Return how much memory a process can still take: the machine's or, if that is less, the container's.

    Raises:
        EngineError: this system doesn't say.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration) as error:
        if sys.platform == "darwin":
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        raise EngineError(f"{sys.platform} doesn't say how much memory is free; pass --limit GB") from error
    return min([free, *(max(0, limit - usage) for limit, usage in _cgroups(_CGROUPS))])


def total_bytes() -> int:
    """Return this machine's memory, 8 GiB where it does not say; or the container's, if that is less."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        machine = 8 << 30
    return min([machine, *(limit for limit, _ in _cgroups(_CGROUPS))])


def _cgroups(root: Path) -> list[tuple[int, int]]:
    """Return (limit, usage) of the control groups of this process that set a limit."""
    found = []
    for names in _CGROUP_FILES:
        try:
            limit, usage = ((root / name).read_text(encoding="ascii").strip() for name in names)
        except OSError:
            continue
        if limit != "max":
            found.append((int(limit), int(usage)))
    return found


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds now; 0 where it is gone, or the system doesn't say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _check_runs(name: str, input_shape: tuple[int, int, int]) -> None:
    """Refuse here what would fail in every child.

    Raises:
        UnknownNameError: there is no such model.
        ValueError: it can't take such images.
    """
    from fieldguide.cost.count import count
    from fieldguide.introspection import create_on_meta

    count(create_on_meta(name), (1, *input_shape))


def _measure_in_child(task: dict[str, Any]) -> BatchMemory:
    """Run one batch in a child, and end it when it goes over the limit."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "fieldguide.cost._memory_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    went_over = threading.Event()
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(child, task, went_over, over), daemon=True)
    try:
        watch.start()
        output, errors = child.communicate(json.dumps(task).encode())
    finally:  # Ctrl-C too
        child.kill()
        child.wait()
        over.set()
        watch.join()
    return _to_result(task, child.returncode, output, errors, went_over.is_set())


def _watch(
    child: "subprocess.Popen[bytes]", task: dict[str, Any], went_over: threading.Event, over: threading.Event
) -> None:
    """Kill the child when it holds more than the limit; a graphics card keeps its own."""
    while task["device"] == "cpu" and not over.wait(_POLL_S):
        if resident_bytes(child.pid) > task["limit"]:
            went_over.set()
            child.kill()
            return


def _to_result(task: dict[str, Any], code: int, output: bytes, errors: bytes, went_over: bool) -> BatchMemory:
    """Say what became of a batch, from how its child ended."""
    size = task["shape"][0]

    def out_of_memory(fault: str) -> BatchMemory:
        return BatchMemory(batch_size=size, fault=fault, is_out_of_memory=True)

    beyond = f"went over {task['limit'] / 1e9:.2f} GB"
    if went_over:
        return out_of_memory(beyond)
    if code == 0 and output.strip():
        facts = json.loads(output.splitlines()[-1])
        if facts["fault"]:
            return BatchMemory(batch_size=size, fault=facts["fault"], is_out_of_memory=facts["is_out_of_memory"])
        if facts["peak_bytes"] > task["limit"]:  # between two looks
            return out_of_memory(beyond)
        return BatchMemory(batch_size=size, **{key: facts[key] for key in facts if key.endswith("_bytes")})
    if code == -signal.SIGKILL:
        return out_of_memory("killed by the system, as it does when memory runs out")
    last = (errors.decode(errors="replace").strip().splitlines() or [""])[-1]
    return BatchMemory(batch_size=size, fault=f"the process ended with {code}{': ' * bool(last)}{last}")
