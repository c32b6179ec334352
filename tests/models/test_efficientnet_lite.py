"""EfficientNet-Lite: the shapes of its stages, what is scaled, and TensorFlow's padding."""

from math import ceil

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from fieldguide.layers import SameConv2d, SqueezeExcite
from fieldguide.models import MODELS, create_model
from fieldguide.models.efficientnet import SCALES, STAGES
from fieldguide.models.efficientnet_lite import efficientnet_lite0


def test_stages_shrink_and_widen_as_the_paper_says():
    network, shapes = efficientnet_lite0(num_classes=0).eval(), []
    with torch.no_grad():
        images = network.stem(torch.zeros(1, 3, 224, 224))
        for stage in network.stages:
            images = stage(images)
            shapes.append(tuple(images.shape[1:]))
        assert network.forward_features(torch.zeros(1, 3, 224, 224)).shape == (1, 1280, 7, 7)
    last_of_each_size = {shape[1]: shape for shape in shapes}
    assert list(last_of_each_size.values()) == [
        (16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(5))
def test_stem_last_convolution_and_the_depth_of_the_outer_stages_are_not_scaled(number):
    with torch.device("meta"):
        network = create_model(f"efficientnet_lite{number}")
    assert network.stem.conv.out_channels == 32
    assert network.last_conv.conv.out_channels == 1280
    between = [ceil(stage.num_blocks * SCALES[number].depth) for stage in STAGES[1:-1]]
    assert [len(stage) for stage in network.stages] == [1, *between, 1]
    assert not any(isinstance(m, SqueezeExcite) for m in network.modules())


@pytest.mark.parametrize(("number", "millions"), [(0, 4.7), (1, 5.4), (2, 6.1), (3, 8.2), (4, 13.0)])
def test_has_as_many_parameters_as_published(number, millions):
    assert round(MODELS[f"efficientnet_lite{number}"].facts.params / 1e6, 1) == millions


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (32, 32), (33, 40), (97, 64)], ids=str)
def test_pads_as_tensorflow_does(kernel_size, size):
    """TensorFlow's "SAME": ceil(size / stride) steps; of the padding they need, the larger half goes last."""
    conv = SameConv2d(2, 3, kernel_size, stride=2, bias=False)
    images = torch.randn(1, 2, *size)
    padding = []
    for side in reversed(size):
        needed = max((-(-side // 2) - 1) * 2 + kernel_size - side, 0)
        padding += [needed // 2, needed - needed // 2]
    expected = F.conv2d(F.pad(images, padding), conv.weight, stride=2)
    assert expected.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    assert_close(conv(images), expected)
