"""A small student taught by a guide, beside the same student alone.

    python benchmarks/distillation.py [--seeds 3] [--epochs 10] [--students alone,soft,hard,unlabelled]

CIFAR-10 with 5,000 labelled photos. The teacher is a guide of frozen features (EfficientNet-Lite0 at 96 px),
trained on the same 5,000 photos. The student is ResNet-9 of width 0.125 from nothing, with the recipe sprint at
full size, the same steps and the same seeds each time: alone; with the teacher's probabilities; with its
choices; and with its probabilities of 20,000 more photos without a class, in as many steps. Prints the accuracy
on the 10,000 test photos of each seed, and the mean gain.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import fieldguide as fg
from measure import DATA, describe_machine

LABELLED, UNLABELLED = 5_000, 20_000
TEACHER_PX = 96
SETTINGS = {"first_size": 1, "shift": 0.125, "warmup_epochs": 0.2}  # of the recipe, changed for so few photos


def photos(unlabelled: int = 0) -> fg.ImageSet:
    """CIFAR-10 with the first training photos labelled, some more without a class, and the test photos."""
    images = fg.open_images(DATA / "cifar10")
    place = np.cumsum(images.parts == "train") - 1
    is_train = images.parts == "train"
    labels = np.where(is_train & (place >= LABELLED), -1, images.labels)
    kept = replace(images, labels=labels)
    return kept.select(~is_train | (place < LABELLED + unlabelled))


def train_student(teacher: Path, kind: str, seed: int, epochs: float) -> fg.Guide:
    """Train one student in as many steps as any other."""
    with_more = kind == "unlabelled"
    of_kind = {"hard": {"hard": True}, "unlabelled": {"teacher_weight": 0.9, "temperature": 4.0}}
    epochs *= LABELLED / (LABELLED + UNLABELLED) if with_more else 1
    settings = {**SETTINGS, "epochs": epochs, **of_kind.get(kind, {})}
    return fg.train_network(
        photos(UNLABELLED if with_more else 0),
        model="resnet9",
        arguments={"width": 0.125},
        recipe="sprint",
        settings=settings,
        teachers=[] if kind == "alone" else [teacher],
        unlabelled=with_more,
        seed=seed,
    )


def main() -> None:
    """Train the teacher and its students, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--students", default="alone,soft,hard,unlabelled")
    parser.add_argument("--teacher", type=Path, help="where the teacher is, or shall be kept")
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.teacher or Path(folder) / "teacher.guide"
        if not path.exists():
            fg.train(photos(), size_px=TEACHER_PX).save(path)
        metrics = fg.load(path).facts["metrics"]
        print(f"teacher: top-1 {metrics['top1']:.4f}")
        found: dict[str, list[float]] = {}
        for seed in range(1, arguments.seeds + 1):
            for kind in arguments.students.split(","):
                began = time.perf_counter()
                guide = train_student(path, kind, seed, arguments.epochs)
                found.setdefault(kind, []).append(guide.facts["metrics"]["top1"])
                seconds = time.perf_counter() - began
                print(f"{kind}, seed {seed}: top-1 {found[kind][-1]:.4f}, {seconds:.0f} s", flush=True)
    for kind, top1 in found.items():
        gains = [a - b for a, b in zip(top1, found.get("alone", top1), strict=True)]
        print(f"{kind}: mean {statistics.mean(top1):.4f}, gain {statistics.mean(gains):+.4f} "
              f"({', '.join(f'{gain:+.4f}' for gain in gains)})")  # fmt: skip


if __name__ == "__main__":
    main()
