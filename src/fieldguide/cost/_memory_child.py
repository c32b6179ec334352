"""The process that measures one batch: ``python -m fieldguide.cost._memory_child``, told what on stdin."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.errors import EngineError, first_line
from fieldguide.models import create_model

_SIGNS_OF_WANT = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc")


def main() -> None:
    """Measure what standard input describes, and print the result as one line of JSON."""
    task = json.load(sys.stdin)
    with contextlib.suppress(OSError):  # where memory runs out, the system shall end this process and no other
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    facts: dict[str, Any] = {"fault": "", "is_out_of_memory": False}
    try:
        facts |= _measure(task)
    except (RuntimeError, MemoryError, ValueError, EngineError) as error:
        wants = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        wants = wants or any(sign in str(error) for sign in _SIGNS_OF_WANT)
        facts |= {"fault": _want(error) if wants else first_line(error), "is_out_of_memory": wants}
    sys.stdout.write(json.dumps(facts))
    sys.stdout.flush()
    os._exit(0)


def _want(error: Exception) -> str:
    """Say what could not be had, where torch says it: in bytes on a processor, in GiB on a graphics card."""
    asked = re.search(r"tried to allocate (\d+) bytes|Tried to allocate ([\d.]+) GiB", str(error))
    if asked is None:
        return "out of memory"
    num_bytes = int(asked[1]) if asked[1] else float(asked[2]) * 2**30
    return f"out of memory: {num_bytes / 1e9:.2f} GB more could not be had"


def _measure(task: dict[str, Any]) -> dict[str, int]:
    on_card = task["device"] == "cuda"
    memory: _CardMemory | _MainMemory = _CardMemory(task["limit"]) if on_card else _MainMemory()
    start = memory.now()
    network = create_model(task["name"]).to(task["device"])
    images = torch.rand(task["shape"], device=task["device"])
    step = _training(network, images) if task["training"] else _inference(network, images)
    level = memory.now()
    memory.begin()
    step()
    peak = memory.peak()
    return {
        "peak_bytes": peak,
        "network_bytes": max(0, peak - start),
        "step_bytes": max(0, peak - level),
    }


def _inference(network: nn.Module, images: Tensor) -> Callable[[], None]:
    network.eval()

    def step() -> None:
        with torch.inference_mode():
            network(images)

    return step


def _training(network: nn.Module, images: Tensor) -> Callable[[], None]:
    network.train()
    optimiser = torch.optim.AdamW(network.parameters())
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)

    def step() -> None:
        for _ in range(2):  # AdamW's moments are there from the second step on, beside all that it computes
            outputs = network(images)
            answers = [outputs] if isinstance(outputs, Tensor) else [o for o in outputs if o is not None]
            loss = torch.stack([F.cross_entropy(logits, labels) for logits in answers]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()

    return step


class _CardMemory:
    """What torch allocates on a graphics card, held to the limit by torch itself."""

    def __init__(self, limit: int) -> None:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))

    def now(self) -> int:
        return torch.cuda.memory_allocated()

    def begin(self) -> None:
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()


class _MainMemory:
    """The resident memory of this process, as the system tells it.

    Linux forgets an earlier peak when it is told to. Where that is forbidden, and on other systems, the peak is
    that of the whole life of the process: no less, and seldom more, for a step takes more than building.
    """

    def now(self) -> int:
        return self._read("VmRSS:") or self.peak()

    def begin(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int:
        peak = self._read("VmHWM:")
        if peak:
            return peak
        try:
            import resource
        except ImportError as error:
            raise EngineError(f"{sys.platform} doesn't say how much memory a process takes") from error
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kibibytes elsewhere

    @staticmethod
    def _read(field: str) -> int:
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


if __name__ == "__main__":
    main()
