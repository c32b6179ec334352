"""How long our networks take to build and to answer once, beside the references': torchvision's and timm's.

Both are built and run in turn, in one process, on one image of the size that the network was designed for, but of
224 px at most. A repeat's forward pass is the faster of two, after one to warm up. A ratio is the median of the
repeats' ratios: above 1, ours is slower.
"""

import argparse
import fnmatch
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

from fieldguide.models import MODELS, create_model
from measure import describe_machine

T = TypeVar("T")
Build = Callable[[], torch.nn.Module]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*", help="names of models, with wildcards")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{arguments.repeats} repeats, interleaved; one image; medians in ms\n")
    columns = "   ".join(f"{what:>8} {'theirs':>8} {'ratio':>6}" for what in ("build", "forward"))
    print(f"{'network':24} {'beside':12} {columns}")
    worst = {"build": (0.0, ""), "forward": (0.0, "")}
    for entry in MODELS.entries():
        if not fnmatch.fnmatch(entry.name, arguments.pattern):
            continue
        for source, reference in entry.facts.references.items():
            if source not in ("timm", "torchvision"):
                continue
            ours, theirs = partial(create_model, entry.name), partial(create_model, f"{source}:{reference}")
            times = race(ours, theirs, min(entry.facts.input_size_px, 224), arguments.repeats)
            row = []
            for what, pairs in times.items():
                ratio = statistics.median(mine / other for mine, other in pairs)
                mine, other = (statistics.median(each) * 1000 for each in zip(*pairs, strict=True))
                worst[what] = max(worst[what], (ratio, f"{entry.name} beside {source}"))
                row.append(f"{mine:8.1f} {other:8.1f} {ratio:6.2f}")
            print(f"{entry.name:24} {source:12} {'   '.join(row)}", flush=True)
    for what, (ratio, where) in worst.items():
        print(f"largest ratio, {what}: {ratio:.2f} ({where})")


def race(build_ours: Build, build_theirs: Build, side: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each repeat, ours and theirs, to build and to answer."""
    images = torch.randn(1, 3, side, side)
    times: dict[str, list[tuple[float, float]]] = {"build": [], "forward": []}
    for repeat in range(repeats):
        builders = (build_ours, build_theirs) if repeat % 2 else (build_theirs, build_ours)
        building, answering = {}, {}
        for build in builders:
            building[build], network = timed(build)
            answering[build] = time_forward(network, images)
            del network
            gc.collect()
        for what, seconds in (("build", building), ("forward", answering)):
            times[what].append((seconds[build_ours], seconds[build_theirs]))
    return times


def time_forward(network: torch.nn.Module, images: torch.Tensor) -> float:
    """Return the seconds of one forward pass."""
    network.eval()
    with torch.inference_mode():
        network(images)
        return min(timed(partial(network, images))[0] for _ in range(2))


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
