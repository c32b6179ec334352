"""An epoch of CIFAR-10's small pictures: the lessons' plain loop against ours, the same network, in turn.

    python benchmarks/small_pictures.py [--repeats 3] [--model lenet]

Times are of the epoch alone, as each process takes them itself: neither start-up, decoding nor judging counts.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measure import DATA, ROOT, describe_machine, run_process


def main() -> None:
    """Run the race and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="lenet")
    arguments = parser.parse_args()
    data = DATA / "cifar10"
    rivals = {
        "plain, batch 14": lambda: plain(data, arguments.model),
        "ours, batch 14": lambda: ours(data, arguments.model, 14),
        "ours, batch 32 as in the recipe lesson": lambda: ours(data, arguments.model, 32),
        "ours, batch 128": lambda: ours(data, arguments.model, 128),
        "ours, batch 256": lambda: ours(data, arguments.model, 256),
    }
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(arguments.repeats):
        for name, run in rivals.items():
            rates[name].append(run())
    print(describe_machine())
    print(f"{arguments.model}, an epoch of CIFAR-10's training photos; {arguments.repeats} repeats, interleaved\n")
    first = rates["plain, batch 14"]
    print(f"{'':<42}{'photos/s (median)':>18}{'times the plain way (each repeat)':>40}")
    for name, found in rates.items():
        ratios = [a / b for a, b in zip(found, first, strict=True)]
        listed = f"{statistics.median(ratios):.1f} ({', '.join(f'{r:.1f}' for r in ratios)})"
        print(f"{name:<42}{statistics.median(found):>18.0f}{listed:>40}")


def plain(data: Path, model: str) -> float:
    """Return the photos a second of the plain loop."""
    run = run_process([sys.executable, str(ROOT / "benchmarks" / "plain_epoch.py"), str(data), model])
    found = json.loads(run.stdout)
    return found["photos"] / found["seconds"]


def ours(data: Path, model: str, batch_size: int) -> float:
    """Return the photos a second of our loop."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--recipe", "lesson", "--epochs", "1", "--batch-size", str(batch_size), "-o", f"{folder}/run"]
        command = [sys.executable, "-m", "fieldguide", "train", str(data), "--model", model, *options, "--json"]
        run_process(command, FIELDGUIDE_CACHE=folder)
        with (Path(folder) / "run" / "history.csv").open() as file:
            return float(next(csv.DictReader(file))["photos_per_s"])


if __name__ == "__main__":
    main()
