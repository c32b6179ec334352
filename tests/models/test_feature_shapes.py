"""The last feature map has the sides that every ``forward_features`` says, at sizes that round."""

from math import ceil

import pytest
import torch

from fieldguide.models import create_model


def up(divisor):
    return lambda side: ceil(side / divisor)


def down(divisor):
    return lambda side: side // divisor


@pytest.mark.parametrize(
    ("name", "usual", "small_input"),
    [
        ("resnet18", up(32), up(8)),
        ("resnet20", up(4), None),
        ("resnet9", down(8), None),
        ("wide_resnet28_10", up(4), None),
        ("densenet121", lambda side: ceil(side / 4) // 8, down(8)),
        ("googlenet", lambda side: ceil((side + 1) // 16 / 2), lambda side: ceil(side // 2 / 2)),
        ("efficientnet_lite0", up(32), up(16)),
        ("mobilenet_v1", up(32), up(16)),
        ("mobilenet_v2", up(32), up(16)),
        ("mobilenet_v3_small", up(32), up(16)),
        ("convnext_tiny", down(32), down(16)),
        ("vgg11", down(32), down(16)),
    ],
)
def test_sides_of_the_last_map(name, usual, small_input):
    forms = [({}, usual)] + ([({"small_input": True}, small_input)] if small_input else [])
    for arguments, rule in forms:
        with torch.device("meta"):
            network = create_model(name, num_classes=0, **arguments).eval()
            for height, width in [(32, 33), (47, 61), (62, 66), (95, 224)]:
                found = network.forward_features(torch.zeros(1, 3, height, width)).shape[2:]
                assert tuple(found) == (rule(height), rule(width)), (arguments, height, width)
