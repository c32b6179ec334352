"""EfficientNetV2: its tables, and what the paper says they cost."""

import pytest
import torch

from fieldguide.layers import ConvNormAct, FusedInvertedResidual, InvertedResidual, SameConv2d, SqueezeExcite
from fieldguide.models import MODELS, create_model


def rows_of(network):
    """Read [repeats, kernel, stride, expansion, in, out, SE ratio or None] off the layers of each stage."""
    for stage in network.stages:
        first, *others = stage
        fused = isinstance(first, FusedInvertedResidual)
        spatial = (first.expand if fused else first.depthwise).conv
        channels = first.expand.conv.in_channels
        last = first.project if isinstance(first.project, ConvNormAct) else first.expand
        squeeze = None
        if not fused and isinstance(first.squeeze_excite, SqueezeExcite):
            squeeze = first.squeeze_excite.reduce.out_channels / channels
        expanded = 1 if last is first.expand else first.expand.conv.out_channels // channels
        assert {type(block) for block in stage} == {FusedInvertedResidual if fused else InvertedResidual}
        assert all(block.has_shortcut for block in others)
        out_channels, (kernel, _), (stride, _) = last.conv.out_channels, spatial.kernel_size, spatial.stride
        yield [len(stage), kernel, stride, expanded, channels, out_channels, squeeze]


def test_the_stages_of_s_are_table_4():
    with torch.device("meta"):
        network = create_model("efficientnet_v2_s")
    assert list(rows_of(network)) == [
        [2, 3, 1, 1, 24, 24, None],
        [4, 3, 2, 4, 24, 48, None],
        [4, 3, 2, 4, 48, 64, None],
        [6, 3, 2, 4, 64, 128, 0.25],
        [9, 3, 1, 6, 128, 160, 0.25],
        [15, 3, 2, 6, 160, 256, 0.25],
    ]


@pytest.mark.parametrize(
    ("size", "billions_of_multiply_adds", "millions_of_parameters"),
    [("s", 8.8, 22), ("m", 24, 54), ("l", 53, 120), ("xl", 94, 208)],
)
def test_each_costs_what_table_7_says(size, billions_of_multiply_adds, millions_of_parameters):
    facts = MODELS[f"efficientnet_v2_{size}"].facts
    assert facts.macs / 1e9 == pytest.approx(billions_of_multiply_adds, rel=0.06)
    assert facts.params / 1e6 == pytest.approx(millions_of_parameters, rel=0.03)


@pytest.mark.parametrize(("size", "same"), [("s", False), ("m", False), ("l", False), ("xl", True)])
def test_only_xl_pads_as_tensorflow(size, same):
    with torch.device("meta"):
        network = create_model(f"efficientnet_v2_{size}")
    assert isinstance(network.stem.conv, SameConv2d) is same
