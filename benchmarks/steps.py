"""Training steps on random images, by the plain loop or by ours: a process that training_step.py starts."""

import json
import statistics
import sys
import time

import torch
from torch import nn

import fieldguide as fg
from fieldguide.libraries import keep_freed_memory
from fieldguide.training.compute.arithmetic import Arithmetic, autocast, choose_arithmetic, prepare

_WARM_UP, _STEPS = 3, 10


def main(way: str, model: str, size_px: int, batch_size: int) -> None:
    """Take steps; print the median of their milliseconds a photo, and what they were computed with, as JSON."""
    torch.manual_seed(0)
    device = torch.device("cpu")
    network = fg.create_model(model, num_classes=10).train()
    images, labels = torch.rand(batch_size, 3, size_px, size_px), torch.randint(0, 10, (batch_size,))
    arithmetic = Arithmetic(channels_last=False)
    if way == "ours":
        keep_freed_memory()
        arithmetic = choose_arithmetic(network, (batch_size, 3, size_px, size_px), device)
        prepare(network, arithmetic, device)
        images = images.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True if way == "ours" else None)
    times = []
    for _ in range(_WARM_UP + _STEPS):
        start = time.perf_counter()
        optimiser.zero_grad()
        with autocast(arithmetic, device):
            loss = nn.functional.cross_entropy(network(images).float(), labels)
        loss.backward()
        optimiser.step()
        times.append(time.perf_counter() - start)
    median = statistics.median(times[_WARM_UP:])
    print(json.dumps({"ms": 1000 * median / batch_size, "precision": arithmetic.precision}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
