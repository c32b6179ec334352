"""Photos a second: decoding alone, the network alone, and the whole path, with few photos and with many.

    python benchmarks/throughput.py [--photos 1000 25000]

The photos are those of flowers, written again under new names with new bytes until there are enough, so that no
two are the same to the cache. Each measurement is a process of its own; its rate leaves out imports and the
network's start, its peak memory leaves out nothing. "Of both in turn" compares the whole path to the rate at which
the same cores would do the one and then the other: 1 is all that cores without a moment's rest can give.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from measure import DATA, ROOT, describe_machine, run_process

STAGES = ("decoding", "network", "whole path")


def main() -> None:
    """Measure each stage at each number of photos and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[1000, 25_000])
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(measure_stage(arguments.stage, arguments.folder)))
        return
    print(describe_machine())
    columns = ("photos/s", "peak MiB", "of the slower", "of both in turn")
    print(f"\n{'photos':>8}  {'stage':<12}" + "".join(f"{column:>17}" for column in columns))
    for count in arguments.photos:
        race(count)


def race(count: int) -> None:
    """Measure the three stages on ``count`` photos and print their rows."""
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder) / "photos", count)
        program = [sys.executable, str(ROOT / "benchmarks" / "throughput.py"), "--folder", f"{folder}/photos"]
        environment = {"FIELDGUIDE_CACHE": f"{folder}/cache", "FIELDGUIDE_CACHE_GB": "100"}
        run_process([*program, "--stage", "network"], **environment)  # converts the network for what follows
        rates: dict[str, float] = {}
        for stage in STAGES:
            result = run_process([*program, "--stage", stage], **environment)
            facts = json.loads(result.stdout)
            rates[stage] = facts["photos"] / facts["seconds"]
            shares = ""
            if stage == "whole path":
                slower = min(rates["decoding"], rates["network"])
                in_turn = 1 / (1 / rates["decoding"] + 1 / rates["network"])
                shares = f"{rates[stage] / slower:>17.2f}{rates[stage] / in_turn:>17.2f}"
            print(f"{count:>8}  {stage:<12}{rates[stage]:>17.0f}{result.peak_mib:>17.0f}{shares}", flush=True)


def write_photos(folder: Path, count: int) -> None:
    """Write ``count`` photos that differ in name and bytes; what follows a JPEG's end changes no pixel."""
    folder.mkdir()
    sources = [path.read_bytes() for path in sorted((DATA / "flowers").glob("*/*/*.jpg"))]
    for number in range(count):
        content = sources[number % len(sources)] + number.to_bytes(4, "big")
        (folder / f"{number:06d}.jpg").write_bytes(content)


def measure_stage(stage: str, folder: Path) -> dict[str, float]:
    """Run one stage over the folder; return photos and seconds."""
    from fieldguide.data import open_photos
    from fieldguide.data.image_set import content_digest
    from fieldguide.embed import Embedder
    from fieldguide.embed.embedder import in_threads
    from fieldguide.weights import load_backbone

    images = open_photos([folder])
    embedder = Embedder(load_backbone())
    preprocess = embedder.backbone.preprocess

    def decode(index: int) -> bytes:
        photo = images.read(index)
        preprocess(photo)
        return content_digest(photo)

    if stage == "decoding":
        start = time.perf_counter()
        for _ in in_threads(decode, range(len(images)), ahead=64):
            pass
        return {"photos": len(images), "seconds": time.perf_counter() - start}
    pictures = [preprocess(images.read(index)) for index in range(64)]
    list(embedder.engine.embed(pictures))  # start it
    start = time.perf_counter()
    if stage == "network":
        for _ in embedder.engine.embed(pictures[index % 64] for index in range(len(images))):
            pass
    else:
        for _ in embedder.stream(images):
            pass
    return {"photos": len(images), "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    main()
