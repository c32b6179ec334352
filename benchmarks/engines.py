"""The engines on the same pictures: time a photo, and how far each is from plain float32 torch.

    python benchmarks/engines.py [--photos 512] [--repeats 5] [--backbone efficientnet_lite0]

The photos are of three sets. OpenVINO runs three times: as fieldguide uses it, with the early layers in float32
and the others in bfloat16, then all in bfloat16, and all in float32. Every run is a process of its own (the torch
engine's memory setting would help plain torch too), and they take turns. Pictures are decoded and the network is
started before the clock is.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from fieldguide.data import open_photos
from fieldguide.embed import Embedder
from fieldguide.embed.engines import ENGINES
from fieldguide.embed.engines._openvino_conversion import convert_to
from fieldguide.embed.engines.openvino_cpu import OpenVinoCpu
from fieldguide.libraries import import_openvino
from fieldguide.weights import Backbone, load_backbone
from measure import DATA, ROOT, describe_machine, run_process

PLAIN = "torch as it comes"
ONE_PRECISION = {"openvino-bfloat16": "OpenVINO, all bfloat16", "openvino-float32": "OpenVINO, all float32"}
SETS = ("flowers", "cats_dogs", "imagen")
WANTED_COSINE = 0.999


def main() -> None:
    """Race the engines of this machine and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--features", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure(arguments.engine, arguments.backbone, arguments.photos, arguments.features)))
        return
    usable = [entry for entry in ENGINES.entries() if entry.facts.available()]
    engines = [PLAIN, *(e.name for e in sorted(usable, key=lambda e: e.facts.order))]
    if "openvino" in engines:
        after = engines.index("openvino") + 1
        engines[after:after] = ONE_PRECISION
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
    pictures = decode(backbone, photos)
    if engine == PLAIN:
        description, run = PLAIN, PlainTorch(backbone)
    elif engine in ONE_PRECISION:
        description, run = ONE_PRECISION[engine], openvino_in_one_precision(engine, backbone).embed
    else:
        chosen = Embedder(backbone, engine=engine).engine
        description, run = chosen.description, chosen.embed
    list(run(pictures[:32]))  # start it
    start = time.perf_counter()
    found = list(run(pictures))
    seconds = time.perf_counter() - start
    np.save(features, np.stack(found))
    return {"name": description, "photos": len(found), "seconds": seconds}


def decode(backbone: Backbone, photos: int) -> list[np.ndarray]:
    """Return pictures of every set, evenly spaced in it; the same ones in every run."""
    pictures = []
    for name in SETS:
        images = open_photos([DATA / name])
        chosen = np.linspace(0, len(images) - 1, photos // len(SETS)).astype(int)
        pictures += [backbone.preprocess(images.read(int(index))) for index in chosen]
    return pictures


def openvino_in_one_precision(engine: str, backbone: Backbone) -> OpenVinoCpu:
    """Return the engine without the marks that keep layers in float32."""
    with tempfile.TemporaryDirectory() as folder:
        convert_to(backbone, Path(folder) / "network")
        network = Path(folder) / "network" / "network.xml"
        tree = ElementTree.parse(network)
        for marks in tree.iter("rt_info"):
            for mark in marks.findall("attribute[@name='precise']"):
                marks.remove(mark)
        tree.write(network)
        core = import_openvino().Core()
        return OpenVinoCpu(core, core.read_model(network), bfloat16=engine.endswith("bfloat16"))


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
    columns = ("ms a photo", "times faster", "least cosine", f"below {WANTED_COSINE}")
    print(f"{'engine':<52}" + "".join(f"{column:>14}" for column in columns))
    for name, times in runs.items():
        ratio = statistics.median(p / t for p, t in zip(runs[PLAIN], times, strict=True))
        cosine = cosines(features[PLAIN], features[name])
        print(
            f"{name:<52}{1000 * statistics.median(times):>14.2f}{ratio:>14.1f}{cosine.min():>14.5f}"
            f"{(cosine < WANTED_COSINE).sum():>14}"
        )


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosines (N,) between the rows of two (N, D) arrays."""
    return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


if __name__ == "__main__":
    main()
