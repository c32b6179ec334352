"""The engines on the same pictures: time a photo, and how far each is from plain float32 torch.

    python benchmarks/engines.py [--photos 256] [--repeats 5] [--backbone efficientnet_lite0]

Every run is a process of its own (the torch engine's memory setting would help plain torch too), and they take
turns. Pictures are decoded and the network is started before the clock is.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fieldguide.data import open_photos
from fieldguide.embed import Embedder
from fieldguide.embed.engines import ENGINES
from fieldguide.weights import Backbone, load_backbone
from measure import DATA, ROOT, describe_machine, run_process

PLAIN = "torch as it comes"


def main() -> None:
    """Race the engines of this machine and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--features", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure(arguments.engine, arguments.backbone, arguments.photos, arguments.features)))
        return
    usable = [entry for entry in ENGINES.entries() if entry.facts["available"]()]
    engines = [PLAIN, *(e.name for e in sorted(usable, key=lambda e: e.facts["order"]))]
    runs: dict[str, list[float]] = {}
    features: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(ROOT / "benchmarks" / "engines.py"), "--photos", str(arguments.photos)]
        program += ["--backbone", arguments.backbone, "--features", f"{folder}/features.npy"]
        for _ in range(arguments.repeats):
            for engine in engines:
                result = json.loads(run_process([*program, "--engine", engine], FIELDGUIDE_CACHE=folder).stdout)
                runs.setdefault(result["name"], []).append(result["seconds"] / result["photos"])
                features[result["name"]] = np.load(f"{folder}/features.npy")
    report(arguments.backbone, runs, features)


def measure(engine: str, name: str, photos: int, features: Path) -> dict[str, object]:
    """Run one engine over pictures; write the features, return the time."""
    backbone = load_backbone(name)
    images = open_photos([DATA / "flowers" / "val"])
    pictures = [backbone.preprocess(images.read(index)) for index in range(min(photos, len(images)))]
    if engine == PLAIN:
        description, run = PLAIN, PlainTorch(backbone)
    else:
        chosen = Embedder(backbone, engine=engine).engine
        description, run = chosen.description, chosen.embed
    list(run(pictures[:32]))  # start it
    start = time.perf_counter()
    found = list(run(pictures))
    seconds = time.perf_counter() - start
    np.save(features, np.stack(found))
    return {"name": description, "photos": len(found), "seconds": seconds}


class PlainTorch:
    """The plain way: float32, contiguous, batches of 32, no setting touched."""

    def __init__(self, backbone: Backbone) -> None:
        self.network, self.preprocess = backbone.build(), backbone.preprocess

    def __call__(self, pictures: list[np.ndarray]) -> Iterable[np.ndarray]:
        import torch

        with torch.no_grad():
            for start in range(0, len(pictures), 32):
                batch = self.preprocess.normalise(np.stack(pictures[start : start + 32]))
                yield from self.network(torch.from_numpy(batch)).numpy()


def report(backbone: str, runs: dict[str, list[float]], features: dict[str, np.ndarray]) -> None:
    """Print a row an engine; its ratio is the median over the repeats of plain torch's time over its own."""
    print(describe_machine())
    print(f"{backbone}: {len(features[PLAIN])} pictures, {len(runs[PLAIN])} repeats, interleaved\n")
    print(f"{'engine':<28}{'ms a photo':>12}{'times faster':>14}{'least cosine':>14}")
    for name, times in runs.items():
        ratio = statistics.median(p / t for p, t in zip(runs[PLAIN], times, strict=True))
        cosine = least_cosine(features[PLAIN], features[name])
        print(f"{name:<28}{1000 * statistics.median(times):>12.2f}{ratio:>14.1f}{cosine:>14.5f}")


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the least cosine between rows of two (N, D) arrays."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


if __name__ == "__main__":
    main()
