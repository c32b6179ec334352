"""Rename tables between layouts."""

import pytest

from fieldguide.errors import WeightsError
from fieldguide.models import create_model
from fieldguide.weights.layouts import efficientnet_lite0_from_lukemelas

PLACES = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), *((s, b) for s in (3, 4) for b in range(3)),
          *((5, b) for b in range(4)), (6, 0)]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("_conv_stem.weight", "stem.0.weight"),
        ("_bn0.running_mean", "stem.1.running_mean"),
        ("_blocks.0._depthwise_conv.weight", "stages.0.0.depthwise.0.weight"),
        ("_blocks.2._expand_conv.weight", "stages.1.1.expand.0.weight"),
        ("_blocks.15._bn2.num_batches_tracked", "stages.6.0.project.1.num_batches_tracked"),
        ("_conv_head.weight", "head.0.weight"),
        ("_bn1.bias", "head.1.bias"),
        ("_fc.bias", "classifier.bias"),
    ],
)
def test_names_of_lukemelas_become_ours(theirs, ours):
    assert efficientnet_lite0_from_lukemelas({theirs: "tensor"}) == {ours: "tensor"}


def test_blocks_are_dealt_to_stages_in_order():
    names = [f"_blocks.{number}._bn1.weight" for number in range(16)]
    renamed = efficientnet_lite0_from_lukemelas(dict.fromkeys(names))
    assert list(renamed) == [f"stages.{stage}.{block}.depthwise.1.weight" for stage, block in PLACES]
    assert renamed.keys() <= create_model("efficientnet_lite0").state_dict().keys()


@pytest.mark.parametrize(
    "name",
    [
        "_blocks.16._bn1.weight",
        "_blocks.3._se_reduce.weight",
        "_blocks.x._bn1.weight",
        "_bn2.weight",
        "conv1.weight",
        "_conv_stem",
        "_fc.weight.extra",
        "",
    ],
)
def test_a_tensor_of_another_network_is_named(name):
    expected = f"^{name!r} is no tensor of an EfficientNet-Lite0; the file holds another network$"
    with pytest.raises(WeightsError, match=expected):
        efficientnet_lite0_from_lukemelas({"_conv_stem.weight": 1, name: 2})
