"""Print the table of docs/cost.md: what kinds of convolution cost by their formulas, and measured on this machine.

    python docs/layer_cost.py

Every kind runs once in each round, on one thread, in an order that changes from round to round. The time is that
of the processor, which other programs on the machine don't lengthen much; the median over the rounds.
"""

import random
import statistics
import time

import torch
from torch import nn

from fieldguide.cost.layers import Conv, depthwise_separable, stacked

CHANNELS, SIDE, ROUNDS = 128, 56, 41
BASE = "3x3"


def conv(kernel_size: int, groups: int = 1) -> list[Conv]:
    """Return one convolution that keeps the channels."""
    return [Conv(in_channels=CHANNELS, out_channels=CHANNELS, kernel_size=kernel_size, groups=groups, bias=False)]


KINDS = {
    BASE: conv(3),
    "1x1": conv(1),
    "5x5": conv(5),
    "7x7": conv(7),
    "two 3x3, one after the other": stacked(CHANNELS, CHANNELS, 3, times=2),
    "three 3x3, one after the other": stacked(CHANNELS, CHANNELS, 3, times=3),
    "3x3 in 4 groups": conv(3, groups=4),
    "3x3 in 32 groups": conv(3, groups=32),
    "3x3 depthwise alone": conv(3, groups=CHANNELS),
    "3x3 depthwise separable": depthwise_separable(CHANNELS, CHANNELS, 3),
    "5x5 depthwise separable": depthwise_separable(CHANNELS, CHANNELS, 5),
}


def build(convs: list[Conv]) -> nn.Sequential:
    """Build the layers, whose maps keep their side."""
    layers = [
        nn.Conv2d(
            c.in_channels, c.out_channels, c.kernel_size, padding=c.kernel_size // 2, groups=c.groups, bias=c.bias
        )
        for c in convs
    ]
    return nn.Sequential(*layers).eval()


def measure(networks: dict[str, nn.Module], images: torch.Tensor) -> dict[str, float]:
    """Return the median milliseconds of one forward pass."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    order = random.Random(0)
    with torch.inference_mode():
        for number in range(ROUNDS + 3):
            for name in order.sample(list(networks), len(networks)):
                start = time.process_time()
                networks[name](images)
                if number >= 3:  # the first ones warm up
                    times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    times = measure({name: build(convs) for name, convs in KINDS.items()}, torch.randn(1, CHANNELS, SIDE, SIDE))
    base = sum(c.macs(SIDE) for c in KINDS[BASE])
    print(f"{CHANNELS} channels in and out, {SIDE}x{SIDE} px, float32, one thread, torch {torch.__version__}")
    print()
    print("| layer | weights | multiply-adds | of 3x3's | ms | of 3x3's | G multiply-adds a second |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, convs in KINDS.items():
        macs, weights = sum(c.macs(SIDE) for c in convs), sum(c.weights for c in convs)
        shares = f"{macs / base:.3f} | {times[name]:.2f} | {times[name] / times[BASE]:.2f}"
        print(f"| {name} | {weights:,} | {macs / 1e6:.1f} M | {shares} | {macs / times[name] / 1e6:.0f} |")


if __name__ == "__main__":
    main()
