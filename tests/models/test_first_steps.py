"""The first steps: their numbers, worked out by hand, their shapes, and the sizes that they take."""

import pytest
import torch

from fieldguide.models import MODELS, create_model
from fieldguide.models.first_steps import dense, mlp, multilayer_cnn, one_conv

COST = {  # name: products of the multiply-adds, layer by layer, and outputs, each of which adds a bias
    "dense": (784 * 10, 10),
    "mlp": (784 * 100 + 100 * 10, 100 + 10),
    "one_conv": (9 * 24 * 24 * 25 + 5184 * 10, 9 * 24 * 24 + 10),
    "multilayer_cnn": (
        10 * 24 * 24 * 25 + 20 * 8 * 8 * 10 * 25 + 320 * 10,
        10 * 24 * 24 + 20 * 8 * 8 + 10,
    ),
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(network):
    """Return the shape of one picture after every layer of the body."""
    images, found = torch.zeros(1, 1, 28, 28), []
    for layer in [*network.stem, *(layer for stage in network.stages for layer in stage)]:
        images = layer(images)
        found.append(tuple(images.shape[1:]))
    return found


def test_each_layer_has_as_many_parameters_as_by_hand():
    assert count(dense()) == 784 * 10 + 10 == 7_850
    assert count(mlp()) == (784 * 100 + 100) + (100 * 10 + 10) == 79_510
    assert count(one_conv()) == 52_084
    assert count(one_conv().stem) == 25 * 9 + 9 == 234
    assert count(one_conv().classifier) == 5184 * 10 + 10 == 51_850
    assert count(multilayer_cnn()) == (25 * 10 + 10) + (25 * 10 * 20 + 20) + (320 * 10 + 10) == 8_490


@pytest.mark.parametrize("name", COST)
def test_declares_the_multiply_adds_that_come_out_by_hand(name):
    assert MODELS[name].facts.macs == COST[name][0]


@pytest.mark.parametrize(("name", "millions"), [("mlp", 0.08), ("one_conv", 0.19), ("multilayer_cnn", 0.47)])
def test_with_the_additions_of_biases_they_are_the_lessons_numbers(name, millions):
    assert round(sum(COST[name]) / 1e6, 2) == millions


def test_one_conv_keeps_one_large_map():
    network = one_conv()
    assert shapes(network) == [(9, 24, 24)] * 2
    assert one_conv(num_classes=0)(torch.zeros(1, 1, 28, 28)).shape == (1, 5184)
    assert network(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


def test_multilayer_cnn_alternates_convolutions_and_pooling():
    network = multilayer_cnn()
    assert shapes(network) == [
        (10, 24, 24), (10, 24, 24), (10, 12, 12), (20, 8, 8), (20, 8, 8), (20, 4, 4),
    ]  # fmt: skip
    assert network.forward_features(torch.zeros(3, 1, 28, 28)).shape == (3, 20, 4, 4)


@pytest.mark.parametrize("name", COST)
@pytest.mark.parametrize("size_px", [16, 17, 33])
def test_takes_the_size_that_it_was_built_for(name, size_px):
    network = create_model(name, num_classes=3, in_channels=2, size_px=size_px)
    assert network(torch.zeros(2, 2, size_px, size_px)).shape == (2, 3)
    with pytest.raises(ValueError, match=f"images are 28x28 px; this network takes {size_px}x{size_px} px only"):
        network(torch.zeros(2, 2, 28, 28))


@pytest.mark.parametrize(("name", "least"), [("dense", 1), ("mlp", 1), ("one_conv", 5), ("multilayer_cnn", 16)])
def test_refuses_a_size_that_leaves_nothing(name, least):
    assert create_model(name, size_px=least)(torch.zeros(1, 1, least, least)).shape == (1, 10)
    with pytest.raises(ValueError, match=f"size_px is {least - 1}; it must be {least} or more"):
        create_model(name, size_px=least - 1)
    with pytest.raises(ValueError, match=f"size_px is 28.5; it must be a whole number, {least} or more"):
        create_model(name, size_px=28.5)


def test_the_hidden_layer_has_any_width_above_0():
    assert count(mlp(hidden_features=7)) == 784 * 7 + 7 + 7 * 10 + 10
    with pytest.raises(ValueError, match="hidden_features is 0; it must be above 0"):
        mlp(hidden_features=0)


def test_dense_is_softmax_regression():
    network = dense(num_classes=4)
    images = torch.randn(3, 1, 28, 28)
    weights, biases = network.classifier.weight, network.classifier.bias
    torch.testing.assert_close(network(images), images.reshape(3, 784) @ weights.T + biases)
