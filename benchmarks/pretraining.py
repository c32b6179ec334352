"""Learning without labels on CIFAR-10: features by BYOL against those of the same network with random weights.

    python benchmarks/pretraining.py [--photos 20000] [--epochs 20] [--model resnet9] [--width 0.25]

Pretrains on so many training photos without their labels, then answers the 10,000 test photos from the features of
both: by the labels of the 20 nearest neighbours, and by a linear head fitted on the labels.
"""

import argparse
import json
import time

import numpy as np

import fieldguide as fg
from fieldguide.training.pretraining import pretrain
from measure import DATA, describe_machine


def main() -> None:
    """Pretrain and print both accuracies of both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--model", default="resnet9")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    everything = fg.open_images(DATA / "cifar10")
    is_train = everything.parts == "train"
    keep = ~is_train | (np.cumsum(is_train) <= arguments.photos)
    start = time.perf_counter()
    made = pretrain(
        everything.select(keep),
        model=arguments.model,
        arguments={"width": arguments.width},
        settings={"epochs": arguments.epochs},
        seed=arguments.seed,
        on_epoch=lambda epoch: print(f"epoch {epoch.epoch}: loss {epoch.train_loss:.3f}", flush=True),
    )
    training, metrics = made.facts["training"], made.facts["metrics"]
    print(describe_machine())
    print(f"{arguments.model}, width {arguments.width}, {arguments.photos} photos, {arguments.epochs:g} epochs, "
          f"arithmetic {json.dumps(training['arithmetic'])}")  # fmt: skip
    print(f"{training['seconds']:.0f} s of training, {time.perf_counter() - start:.0f} s in all\n")
    print(f"{'features':<16}{'nearest neighbours':>20}{'linear head':>14}")
    for name in ("pretrained", "random"):
        found = metrics[name]
        print(f"{name:<16}{found['neighbours_top1']:>20.3f}{found['linear_top1']:>14.3f}")


if __name__ == "__main__":
    main()
