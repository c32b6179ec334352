"""A folder of photos to a trained, evaluated classifier: fieldguide against the plain way, as whole processes.

    python benchmarks/transfer.py [--repeats 3] [--peer]

Each repeat runs, one after the other: the plain way (plain_transfer.py), fieldguide from a cold cache, fieldguide
from a warm cache, and two predictions of photos that are in no cache. Prints times, accuracies, peak memory, and
the ratios of each repeat; of fieldguide also how soon the guide stood there, before its report. With --peer, also
fastai (fastai_transfer.py; pip install fastai, and have some minutes).
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measure import DATA, ROOT, Run, describe_machine, run_process, top1

FIELDGUIDE = [sys.executable, "-m", "fieldguide"]


def main() -> None:
    """Run the race and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    flowers = DATA / "flowers"
    runs: dict[str, list[Run]] = {}
    cats = sorted((DATA / "cats_dogs" / "cat").iterdir())
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            cache, guide = str(Path(folder) / "cache"), str(Path(folder) / "flowers.guide")
            train = [*FIELDGUIDE, "train", str(flowers), "-o", guide, "--json"]
            commands = {
                "plain": [sys.executable, str(ROOT / "benchmarks" / "plain_transfer.py"), str(flowers)],
                "cold": train,
                "warm": train,
                "predict": [*FIELDGUIDE, "predict", guide, str(cats[0])],
                "predict, a second time": [*FIELDGUIDE, "predict", guide, str(cats[1])],
            }
            if arguments.peer:
                program = str(ROOT / "benchmarks" / "fastai_transfer.py")
                commands = {"fastai": [sys.executable, program, str(flowers), "frozen"], **commands}
            for name, command in commands.items():
                runs.setdefault(name, []).append(run_process(command, FIELDGUIDE_CACHE=cache))
    with tempfile.TemporaryDirectory() as folder:
        command = [*FIELDGUIDE, "train", str(DATA / "cats_dogs"), "-o", f"{folder}/pets.guide", "--json"]
        pets = run_process(command, FIELDGUIDE_CACHE=folder)
    report(runs, pets)


def report(runs: dict[str, list[Run]], pets: Run) -> None:
    """Print medians, and each repeat's ratio to the plain way."""
    print(describe_machine())
    print(f"flowers: 1000 photos to learn from, 300 to judge; {len(runs['plain'])} repeats, interleaved\n")
    print(f"{'whole process':<28}{'seconds (median)':>18}{'min':>8}{'max':>8}{'peak MiB':>10}{'top-1':>8}")
    for name, results in runs.items():
        seconds = [r.seconds for r in results]
        peak = max(r.peak_mib for r in results)
        print(
            f"{name:<28}{statistics.median(seconds):>18.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}{peak:>10.0f}"
            f"{top1(results[0]):>8}"
        )
    for name in ("cold", "warm"):
        ready = statistics.median(json.loads(r.stdout[r.stdout.index("{") :])["seconds"] for r in runs[name])
        print(f"{name}: the guide is ready after {ready:.2f} s (median), its report at the end")
    print()
    for slow, fast in (("plain", "cold"), ("plain", "warm"), ("fastai", "cold")):
        ratios = [a.seconds / b.seconds for a, b in zip(runs.get(slow, []), runs[fast], strict=False)]
        if ratios:
            listed = ", ".join(f"{r:.1f}" for r in ratios)
            print(f"{slow} / {fast}: {statistics.median(ratios):.1f} times (each repeat: {listed})")
    print(f"\ncats_dogs, cold: {pets.seconds:.2f} s, held-out top-1 {top1(pets)}, peak {pets.peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
