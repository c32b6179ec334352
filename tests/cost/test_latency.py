"""Latency in turns. No time is asserted, but what is made of times, and in which order they are taken."""

import time

import pytest
import torch
from torch import nn

from fieldguide.cost.latency import measure_latency


class Sleeper(nn.Module):
    def __init__(self, name: str, seconds: float, calls: list[str]) -> None:
        super().__init__()
        self.name, self.seconds, self.calls = name, seconds, calls

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls.append(self.name)
        time.sleep(self.seconds)
        return images


def test_networks_take_turns_from_either_end_after_a_warm_up():
    calls, seen = [], []
    images = torch.zeros(4, 3, 8, 8)
    found = measure_latency(
        {name: (Sleeper(name, seconds, calls).train(), images) for name, seconds in (("a", 0.002), ("b", 0.01))},
        least_rounds=3,
        most_rounds=4,
        on_progress=lambda *facts: seen.append(facts),
    )
    assert calls == ["a", "a", "b", "b"] + ["a", "b", "b", "a"] * 2
    assert seen[0] == ("latency", 0, 4) and seen[-1] == ("latency", 4, 4)
    for latency in found.values():
        assert latency.batch_size == 4 and latency.rounds == 4
        assert 0 < latency.low_ms <= latency.median_ms <= latency.high_ms
    assert found["a"].ratio == 1 and found["b"].ratio > 1, "one sleeps five times as long"


def test_time_ends_it_but_not_before_the_least_rounds():
    calls = []
    networks = {"a": (Sleeper("a", 0.01, calls), torch.zeros(1, 3, 8, 8))}
    assert measure_latency(networks, least_rounds=3, seconds=0)["a"].rounds == 3


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="networks is empty"):
        measure_latency({})
    networks = {"a": (nn.Identity(), torch.zeros(1))}
    with pytest.raises(ValueError, match="least_rounds is 1 and most_rounds 40"):
        measure_latency(networks, least_rounds=1)
    with pytest.raises(ValueError, match="least_rounds is 5 and most_rounds 4"):
        measure_latency(networks, most_rounds=4)
