"""What every network refuses: arguments that it cannot be built of, and images of another size."""

import re

import numpy as np
import pytest
import torch

from fieldguide.layers import InputSize, check_arguments, check_whole

GOOD = {"num_classes": 2, "in_channels": 3}


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_classes": 0},
        {"num_classes": np.int64(5), "in_channels": np.uint8(1)},
        {"dropout": 0, "drop_path_rate": 0.999},
        {"width": 0.25},
        {"width": np.float32(2)},
        {"size_px": 1, "hidden_features": 7},
    ],
    ids=str,
)
def test_takes_what_is_in_range(arguments):
    check_arguments(**GOOD | arguments)


NO_COUNT = "it must be a whole number, 0 (features) or more"
NO_PROBABILITY = "it must be from 0 to below 1"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_classes", -1, "num_classes is -1; it must be 0 (features) or more"),
        ("num_classes", 2.5, f"num_classes is 2.5; {NO_COUNT}"),
        ("num_classes", 2.0, f"num_classes is 2.0; {NO_COUNT}"),
        ("num_classes", "3", f"num_classes is '3'; {NO_COUNT}"),
        ("num_classes", True, f"num_classes is True; {NO_COUNT}"),
        ("num_classes", float("nan"), f"num_classes is nan; {NO_COUNT}"),
        ("num_classes", None, f"num_classes is None; {NO_COUNT}"),
        ("in_channels", 0, "in_channels is 0; it must be 1 or more"),
        ("in_channels", 1.5, "in_channels is 1.5; it must be a whole number, 1 or more"),
        ("in_channels", "3", "in_channels is '3'; it must be a whole number, 1 or more"),
        ("dropout", 1.0, f"dropout is 1.0; {NO_PROBABILITY}"),
        ("dropout", float("nan"), f"dropout is nan; {NO_PROBABILITY}"),
        ("dropout", "0.5", f"dropout is '0.5'; {NO_PROBABILITY}"),
        ("dropout", False, f"dropout is False; {NO_PROBABILITY}"),
        ("drop_path_rate", -0.1, f"drop_path_rate is -0.1; {NO_PROBABILITY}"),
        ("width", 0.0, "width is 0.0; it must be above 0"),
        ("width", float("inf"), "width is inf; it must be above 0"),
        ("width", "1", "width is '1'; it must be above 0"),
        ("size_px", 0, "size_px is 0; it must be above 0"),
        ("size_px", 224.0, "size_px is 224.0; it must be a whole number, above 0"),
        ("hidden_features", 1.5, "hidden_features is 1.5; it must be a whole number, above 0"),
    ],
)
def test_refuses_what_is_not_with_its_name_and_value(name, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_arguments(**GOOD | {name: value})


def test_a_whole_number_has_a_least_one_in_the_callers_words():
    check_whole("size_px", 32, least=32)
    with pytest.raises(ValueError, match=r"size_px is 31; it must be 32 or more$"):
        check_whole("size_px", 31, least=32)
    with pytest.raises(ValueError, match=r"depth is 9; it must be ten or more$"):
        check_whole("depth", 9, least=10, allowed="ten or more")


class TestInputSize:
    @pytest.mark.parametrize(
        ("size", "sides"),
        [
            (InputSize(32), (32, 500)),
            (InputSize(16, multiple_of=16), (16, 48)),
            (InputSize(28, fixed=True), (28, 28)),
        ],
        ids=str,
    )
    def test_takes_what_fits(self, size, sides):
        size.check(torch.zeros(1, 3, *sides))

    @pytest.mark.parametrize(
        ("size", "sides", "message"),
        [
            (InputSize(32), (31, 64), "images are 31x64 px; this network takes 32x32 px or more"),
            (InputSize(32), (64, 31), "images are 64x31 px; this network takes 32x32 px or more"),
            (
                InputSize(16, multiple_of=16),
                (32, 40),
                "images are 32x40 px; this network takes sides that are multiples of 16 px",
            ),
            (InputSize(16, multiple_of=16), (8, 16), "images are 8x16 px; this network takes 16x16 px or more"),
            (InputSize(28, fixed=True), (28, 56), "images are 28x56 px; this network takes 28x28 px only"),
        ],
        ids=str,
    )
    def test_refuses_others_with_what_it_takes(self, size, sides, message):
        with pytest.raises(ValueError, match=message):
            size.check(torch.zeros(1, 3, *sides))
