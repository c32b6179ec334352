"""Latency of networks against each other: measured in turns, so that whatever slows the machine slows them all."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fieldguide.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor, nn

STAGE = "latency"  # of the progress

_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one network takes for one batch.

    Args:
        batch_size: images.
        median_ms: of the rounds.
        low_ms: their first quartile.
        high_ms: their third quartile.
        ratio: to the first network's: the median over the rounds, within which both met the same conditions.
        rounds: how many there were.
    """

    batch_size: int
    median_ms: float
    low_ms: float
    high_ms: float
    ratio: float
    rounds: int


def measure_latency(
    networks: Mapping[str, tuple["nn.Module", "Tensor"]],
    *,
    least_rounds: int = 5,
    most_rounds: int = 40,
    seconds: float = 10.0,
    on_progress: Progress = silent,
) -> dict[str, Latency]:
    """Measure forward passes in inference mode, one of each network a round, in turns from either end.

    Args:
        networks: (network, images (N, C, H, W)) by name, on one device; the first is what the others are held to.
        least_rounds: however long they take; two at least.
        most_rounds: however short they are.
        seconds: after which no further round begins.
        on_progress: called as rounds are done.

    Raises:
        ValueError: there is no network, or least_rounds is below 2 or above most_rounds.
    """
    import torch

    if not networks:
        raise ValueError("networks is empty; there must be one at least")
    if not 2 <= least_rounds <= most_rounds:
        raise ValueError(
            f"least_rounds is {least_rounds} and most_rounds {most_rounds}; expected 2 <= least <= most"
        )
    times: dict[str, list[float]] = {name: [] for name in networks}
    order = list(networks)
    on_progress(STAGE, 0, most_rounds)
    with torch.inference_mode():
        for network, images in networks.values():
            network.eval()
            for _ in range(_WARM_UP_ROUNDS):
                _seconds_of(network, images)
        start = time.perf_counter()
        for done in range(most_rounds):
            if done >= least_rounds and time.perf_counter() - start > seconds:
                break
            for name in order:
                times[name].append(_seconds_of(*networks[name]))
            order.reverse()
            on_progress(STAGE, done + 1, most_rounds)
    on_progress(STAGE, most_rounds, most_rounds)
    firsts = next(iter(times.values()))
    return {
        name: _summary(len(networks[name][1]), own, [t / first for t, first in zip(own, firsts, strict=True)])
        for name, own in times.items()
    }


def _seconds_of(network: "nn.Module", images: "Tensor") -> float:
    """Time one forward pass; on a graphics card, until it has really ended."""
    import torch

    start = time.perf_counter()
    network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _summary(batch_size: int, seconds: list[float], ratios: list[float]) -> Latency:
    low, median, high = (1000 * quartile for quartile in statistics.quantiles(seconds, n=4, method="inclusive"))
    return Latency(
        batch_size=batch_size,
        median_ms=median,
        low_ms=low,
        high_ms=high,
        ratio=statistics.median(ratios),
        rounds=len(seconds),
    )
