"""An epoch of CIFAR-10 as lessons write it: run by small_pictures.py as a process of its own.

torchvision's data set in memory, a transform for each picture, batches of 14, plain SGD. Prints seconds and
accuracy as JSON; decoding beforehand is not counted.
"""

import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pyarrow import parquet
from torch import nn

import fieldguide as fg
from fieldguide.libraries import import_torchvision

BATCH_SIZE = 14


class Pictures(torch.utils.data.Dataset):
    """CIFAR-10 as torchvision holds it: an array; a picture is made and transformed when it is asked for."""

    def __init__(self, file: Path, transform) -> None:
        columns = parquet.read_table(file).to_pydict()
        files = (io.BytesIO(image["bytes"]) for image in columns["image"])
        self.pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        self.labels = columns["label"]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def main(folder: Path, model: str) -> None:
    """Train for one epoch, then judge on the test part."""
    torch.manual_seed(0)
    transforms = import_torchvision().transforms
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
    train, test = (Pictures(folder / f"{part}.parquet", transform) for part in ("train", "test"))
    network = fg.create_model(model, num_classes=10, in_channels=3)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    start = time.perf_counter()
    for images, labels in torch.utils.data.DataLoader(train, batch_size=BATCH_SIZE, shuffle=True):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
    seconds = time.perf_counter() - start
    network.eval()
    with torch.inference_mode():
        batches = torch.utils.data.DataLoader(test, batch_size=500)
        hits = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches)
    print(json.dumps({"seconds": seconds, "photos": len(train), "top1": hits / len(test)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
