"""Rename tables between layouts."""

import numpy as np
import pytest
import torch
from torch import nn

from fieldguide.models import create_model
from fieldguide.weights.layouts import OURS, Layout, Rename, blocks_of, layouts_of

PLACES = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), *((s, b) for s in (3, 4) for b in range(3)),
          *((5, b) for b in range(4)), (6, 0)]  # fmt: skip


@pytest.fixture(scope="module")
def lite0():
    with torch.device("meta"):
        return create_model("efficientnet_lite0")


@pytest.fixture(scope="module")
def lukemelas(lite0):
    return next(layout for layout in layouts_of("efficientnet_lite0", lite0) if layout.source == "lukemelas")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("_conv_stem.weight", "stem.conv.weight"),
        ("_bn0.running_mean", "stem.norm.running_mean"),
        ("_blocks.0._depthwise_conv.weight", "stages.0.0.depthwise.conv.weight"),
        ("_blocks.2._expand_conv.weight", "stages.1.1.expand.conv.weight"),
        ("_blocks.15._bn2.num_batches_tracked", "stages.6.0.project.norm.num_batches_tracked"),
        ("_conv_head.weight", "last_conv.conv.weight"),
        ("_bn1.bias", "last_conv.norm.bias"),
        ("_fc.bias", "classifier.bias"),
    ],
)
def test_names_of_lukemelas_become_ours_and_back(lukemelas, theirs, ours):
    tensor = np.zeros(1)
    assert lukemelas.to_ours({theirs: tensor}) == {ours: tensor}
    assert lukemelas.from_ours({ours: tensor}) == {theirs: tensor}


def test_blocks_are_dealt_to_stages_in_order(lukemelas, lite0):
    names = [f"_blocks.{number}._bn1.weight" for number in range(16)]
    renamed = lukemelas.to_ours({name: np.zeros(1) for name in names})
    assert list(renamed) == [f"stages.{stage}.{block}.depthwise.norm.weight" for stage, block in PLACES]
    assert [(s, b) for s, b, _ in blocks_of(lite0.stages)] == PLACES


def test_what_the_table_does_not_know_keeps_its_name_or_stays_behind(lukemelas):
    tensors = {"_blocks.16._bn1.weight": np.zeros(1), "conv1.weight": np.zeros(2)}
    assert lukemelas.to_ours(tensors) == tensors
    assert lukemelas.from_ours(tensors) == {}
    assert lukemelas.count(tensors) == 0
    assert lukemelas.count(["_fc.bias", "_fc.weight", "fc.weight"]) == 2


def test_our_own_layout_comes_first_and_changes_nothing(lite0):
    layouts = layouts_of("efficientnet_lite0", lite0)
    assert [layout.source for layout in layouts] == [OURS, "timm", "lukemelas"]
    state = lite0.state_dict()
    assert layouts[0].to_ours(state).keys() == layouts[0].from_ours(state).keys() == state.keys()


class TestRows:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))

    def test_axes_of_length_one_are_dropped_and_put_back(self):
        layout = Layout("x", self.network, [Rename("0.weight", "conv.weight", trailing_axes=2)])
        ours = layout.to_ours({"conv.weight": np.zeros((4, 3, 1, 1))})
        assert ours["0.weight"].shape == (4, 3)
        assert layout.from_ours(ours)["conv.weight"].shape == (4, 3, 1, 1)

    def test_a_convolution_over_the_whole_map_is_a_linear_layer_of_the_flattened_one(self):
        network = nn.Linear(8, 5)
        layout = Layout("x", network, [Rename("weight", "conv.weight", trailing_axes=2, axis_length=2)])
        theirs = np.arange(40).reshape(5, 2, 2, 2)
        ours = layout.to_ours({"conv.weight": theirs})
        np.testing.assert_array_equal(ours["weight"], theirs.reshape(5, 8))
        np.testing.assert_array_equal(layout.from_ours(ours)["conv.weight"], theirs)

    def test_other_axes_stay_for_the_comparison_of_shapes(self):
        layout = Layout("x", self.network, [Rename("0.weight", "conv.weight", trailing_axes=2)])
        assert layout.to_ours({"conv.weight": np.zeros((4, 3, 2, 2))})["0.weight"].shape == (4, 3, 2, 2)

    def test_a_transposed_matrix_is_turned_and_turned_back(self):
        layout = Layout("x", self.network, [Rename("0.weight", "proj", is_transposed=True)])
        theirs = np.arange(12).reshape(3, 4)
        ours = layout.to_ours({"proj": theirs})
        np.testing.assert_array_equal(ours["0.weight"], theirs.T)
        np.testing.assert_array_equal(layout.from_ours(ours)["proj"], theirs)
        vector = np.zeros(3)
        assert layout.to_ours({"proj": vector})["0.weight"].shape == (3,), "for the comparison of shapes"

    def test_leading_axes_are_put_before_and_taken_away(self):
        layout = Layout("x", self.network, [Rename("0.bias", "token", leading_axes=2)])
        ours = layout.to_ours({"token": np.arange(4)})
        assert ours["0.bias"].shape == (1, 1, 4)
        np.testing.assert_array_equal(layout.from_ours(ours)["token"], np.arange(4))

    def test_a_row_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="x's table renames '7', which the network does not have"):
            Layout("x", self.network, [Rename("7", "fc")])

    def test_one_name_for_two_tensors_is_refused(self):
        with pytest.raises(ValueError, match="x's table gives one name to two tensors"):
            Layout("x", self.network, [Rename("0", "fc"), Rename("1", "fc")])
