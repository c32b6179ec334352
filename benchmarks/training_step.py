"""A training step on this processor: the plain torch loop with torch's defaults against ours, in turn.

    python benchmarks/training_step.py [--repeats 5]

Each repeat runs a fresh process for each way. Forward and backward pass, cross entropy, SGD with momentum; random
images, so that nothing else is measured.
"""

import argparse
import json
import statistics
import sys

from measure import ROOT, describe_machine, run_process

CASES = (("mobilenet_v2", 224, 16), ("resnet18", 224, 16), ("efficientnet_lite0", 224, 16), ("resnet20", 32, 128))


def main() -> None:
    """Run the race and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"ms a photo, median of {arguments.repeats} interleaved processes each\n")
    header = f"{'network':<22}{'px':>5}{'batch':>7}{'plain':>9}{'ours':>9}{'precision':>12}{'times faster':>14}"
    print(f"{header}  each repeat")
    for model, size_px, batch_size in CASES:
        found: dict[str, list[float]] = {"plain": [], "ours": []}
        for _ in range(arguments.repeats):
            for way, times in found.items():
                program = str(ROOT / "benchmarks" / "steps.py")
                run = run_process([sys.executable, program, way, model, str(size_px), str(batch_size)])
                facts = json.loads(run.stdout)
                times.append(facts["ms"])
        ratios = [plain / ours for plain, ours in zip(found["plain"], found["ours"], strict=True)]
        plain, ours = (statistics.median(times) for times in found.values())
        print(
            f"{model:<22}{size_px:>5}{batch_size:>7}{plain:>9.2f}{ours:>9.2f}{facts['precision']:>12}"
            f"{statistics.median(ratios):>14.2f}  {', '.join(f'{r:.2f}' for r in ratios)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
