"""What fine-tuning adds to frozen features, on photos that neither learnt from.

    python benchmarks/finetuning.py [--data flowers] [--ways "as the recipe has it" ...]
    python benchmarks/finetuning.py --peer [--repeats 3]

Each way changes a setting or two of the recipe `finetune`. Three in ten of the training photos are set apart; the
frozen guide and the fine-tuned network learn from the other seven and are both judged by these three, the
fine-tuned one at its best epoch, which favours it. The set's own held-out part plays no part.

With --peer, `fieldguide train flowers --finetune` races fastai's fine_tune (fastai_transfer.py; pip install
fastai), as whole processes, and both are judged by the photos held out.
"""

import argparse
import statistics
import sys
import tempfile
import time

import fieldguide as fg
from measure import DATA, ROOT, Run, describe_machine, run_process, top1

WAYS = {
    "as the recipe has it": {},
    "lr 1e-4": {"lr": 1e-4},
    "lr 3e-5": {"lr": 3e-5},
    "norms learn too, lr 1e-4": {"batch_norm": "train", "lr": 1e-4},
    "last stages alone, 1e-4": {"freeze": "stage5", "lr": 1e-4},
    "mixup and 8 epochs": {"mixup": 0.2, "epochs": 8},
}
VALIDATION = 0.3


def main() -> None:
    """Fine-tune in every way, and print what it added and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="flowers")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.peer:
        race_fastai(arguments.repeats)
        return
    images = fg.open_images(DATA / arguments.data)
    images = images.select(images.parts == "train") if (images.parts == "train").any() else images
    print(describe_machine())
    print(f"\n{'':<26}{'frozen':>8}{'fine-tuned':>12}{'gain':>8}{'log loss':>18}{'seconds':>9}")
    for name in arguments.ways:
        began = time.perf_counter()
        guide = fg.finetune(images, settings={"validation": VALIDATION, **WAYS[name]}, seed=arguments.seed)
        seconds, found = time.perf_counter() - began, guide.facts["training"]["comparison"]
        frozen, tuned = found["frozen"], found["finetuned"]
        print(
            f"{name:<26}{frozen['top1']:>8.4f}{tuned['top1']:>12.4f}{tuned['top1'] - frozen['top1']:>+8.4f}"
            f"{frozen['log_loss']:>9.3f}{tuned['log_loss']:>9.3f}{seconds:>9.0f}  of {found['num_photos']} photos "
            f"{tuned['only_right']} right by fine-tuning alone, {frozen['only_right']} by frozen features alone",
            flush=True,
        )


def race_fastai(repeats: int) -> None:
    """Fine-tune by fastai and by fieldguide, in turn, and print seconds and accuracies."""
    flowers = str(DATA / "flowers")
    peer = [sys.executable, str(ROOT / "benchmarks" / "fastai_transfer.py"), flowers, "fine-tune"]
    runs: dict[str, list[Run]] = {"fastai": [], "fieldguide": []}
    for seed in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            ours = [
                sys.executable,
                "-m",
                "fieldguide",
                "train",
                flowers,
                "--finetune",
                "--seed",
                str(seed),
                "--json",
            ]
            runs["fastai"].append(run_process(peer))
            runs["fieldguide"].append(run_process([*ours, "-o", f"{folder}/x.guide"], FIELDGUIDE_CACHE=folder))
    print(describe_machine())
    for name, results in runs.items():
        seconds = [run.seconds for run in results]
        print(f"{name:<12}{statistics.median(seconds):>8.1f} s   top-1 {', '.join(map(top1, results))}")


if __name__ == "__main__":
    main()
