"""How long our networks take to build and to answer once, beside the references': torchvision's and timm's.

Both are built and run in turn, in one process, at the size of images that the network was designed for. A ratio is
that of the medians: above 1, ours is slower.
"""

import argparse
import fnmatch
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from fieldguide.libraries import import_timm, import_torchvision
from fieldguide.models import MODELS, create_model
from measure import describe_machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*", help="names of models, with wildcards")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{arguments.repeats} repeats, interleaved; one image; medians in ms\n")
    columns = "   ".join(f"{what:>8} {'theirs':>8} {'ratio':>6}" for what in ("build", "forward"))
    print(f"{'network':24} {'beside':12} {columns}")
    worst = {"build": 0.0, "forward": 0.0}
    for entry in MODELS.entries():
        if not fnmatch.fnmatch(entry.name, arguments.pattern):
            continue
        for source, reference in entry.facts["references"].items():
            build_theirs = builder(source, reference)
            if build_theirs is None:
                continue
            side = entry.facts["input_size_px"]
            times = race(partial(create_model, entry.name), build_theirs, side, arguments.repeats)
            row = []
            for what in ("build", "forward"):
                ours, theirs = (statistics.median(each) * 1000 for each in times[what])
                worst[what] = max(worst[what], ours / theirs)
                row.append(f"{ours:8.1f} {theirs:8.1f} {ours / theirs:6.2f}")
            print(f"{entry.name:24} {source:12} {'   '.join(row)}", flush=True)
    print(f"\nthe largest ratio: building {worst['build']:.2f}, one forward pass {worst['forward']:.2f}")


def builder(source: str, reference: str) -> Callable[[], torch.nn.Module] | None:
    """Return what builds the reference, freshly initialised."""
    if source == "timm":
        return lambda: import_timm().create_model(reference)
    if source != "torchvision":
        return None
    import_torchvision()
    from torchvision import models

    # Without its own initialisation, which takes a minute, and without the auxiliary classifiers that ours lacks.
    without = {"aux_logits": False, "init_weights": False} if reference == "googlenet" else {}
    return lambda: models.get_model(reference, weights=None, **without)


def race(
    build_ours: Callable[[], torch.nn.Module], build_theirs: Callable[[], torch.nn.Module], side: int, repeats: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the seconds of each repeat, ours and theirs, to build and to answer."""
    images = torch.randn(1, 3, side, side)
    times: dict[str, tuple[list[float], list[float]]] = {"build": ([], []), "forward": ([], [])}
    builders = (build_ours, build_theirs)
    for repeat in range(repeats + 1):
        order = (0, 1) if repeat % 2 else (1, 0)
        for which in order:
            seconds, network = timed(builders[which])
            forward = time_forward(network, images)
            if repeat:  # the first warms up
                times["build"][which].append(seconds)
                times["forward"][which].append(forward)
            del network
            gc.collect()
    return times


def time_forward(network: torch.nn.Module, images: torch.Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        network(images)
        return min(timed(lambda: network(images))[0] for _ in range(3))


def timed(function: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
