"""Rounding of channel counts, as the mobile families do it."""

import pytest

from fieldguide.layers import round_channels


@pytest.mark.parametrize("divisor", [1, 4, 8, 16])
def test_gives_a_near_multiple_never_below_90_percent(divisor):
    for tenths in range(1, 30_000, 7):
        channels = tenths / 10
        rounded = round_channels(channels, divisor=divisor)
        assert rounded % divisor == 0
        assert rounded >= divisor
        assert rounded >= 0.9 * channels
        assert rounded - channels <= divisor


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (32 * 0.35, 16),  # 8 is nearest to 11.2, but 29 % below it
        (24 * 0.75, 24),  # 16 is nearest to 18, but 11 % below it
        (24 * 1.4, 32),
        (32 * 1.1, 32),  # 35.2: 9 % below is allowed
        (1, 8),
        (20, 24),  # halfway goes up
        (1280, 1280),
    ],
)
def test_gives_the_published_channels(channels, expected):
    assert round_channels(channels) == expected
