"""Well-known numbers of well-known networks: parameters, multiply-adds with the additions of biases, shapes."""

import pytest
from torch import nn

from fieldguide.cost import freeze, summary
from fieldguide.introspection import create_on_meta

M, G = 1e6, 1e9


@pytest.mark.parametrize(
    ("name", "image", "params", "macs_and_biases"),
    [
        ("dense", (1, 28, 28), 7_850, None),
        ("mlp", (1, 28, 28), 79_510, "0.08 M"),
        ("one_conv", (1, 28, 28), 52_084, "0.19 M"),
        ("multilayer_cnn", (1, 28, 28), 8_490, "0.47 M"),
        ("lenet", (3, 32, 32), 59_386, "0.66 M"),
        ("alexnet", (3, 224, 224), 61_100_840, None),
        ("vgg16", (3, 224, 224), 138_357_544, "15.48 G"),
        ("resnext50_32x4d", (3, 224, 224), 25_028_904, None),
        ("efficientnet_b0", (3, 224, 224), 5_288_548, None),
    ],
)
def test_parameters_and_multiply_adds(name, image, params, macs_and_biases):
    found = summary(name)
    total = found.total
    assert found.input_shape == (1, *image)
    assert total.params == params and total.frozen_params == 0
    if macs_and_biases is not None:
        number, unit = macs_and_biases.split()
        assert f"{(total.macs + total.bias_adds) / {'M': M, 'G': G}[unit]:.2f}" == number


def test_vgg16_to_the_last_addition():
    total = summary("vgg16").total
    assert (total.macs, total.bias_adds) == (15_470_264_320, 13_556_712)


def test_one_conv_by_its_layers():
    found = summary("one_conv")
    assert {m.params for m in found.modules if m.kind == "Conv2d"} == {234}
    assert {m.params for m in found.modules if m.kind == "Linear"} == {51_850}


def test_vgg16_with_frozen_features_and_a_new_classifier():
    network = create_on_meta("vgg16")
    network.head = nn.Flatten()
    network.classifier = nn.Linear(512 * 7 * 7, 2, device="meta")
    freeze(network, "features")
    found = summary(network, input_shape=(3, 244, 244))
    total = found.total
    assert total.params == 14_764_866 and total.params - total.frozen_params == 50_178
    assert f"{(total.macs + total.bias_adds) / G:.2f}" == "17.99"
    assert found["stages"].output_shape == (1, 512, 7, 7)


def test_mobilenet_v2_with_frozen_features_and_a_new_classifier():
    total = summary("mobilenet_v2", num_classes=2, size_px=244, freeze="features").total
    assert total.params == 2_226_434 and total.params - total.frozen_params == 2_562


def maps(found, *kinds):
    """The shapes that layers of some kinds give, repeated ones once, as they are listed."""
    shapes = [m.output_shape[1:] for m in found.modules if m.kind in kinds]
    return [shape for n, shape in enumerate(shapes) if n == 0 or shape != shapes[n - 1]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one_conv", [(9, 24, 24), (5184,), (10,)]),
        ("multilayer_cnn", [(10, 24, 24), (10, 12, 12), (20, 8, 8), (20, 4, 4), (320,), (10,)]),
        ("lenet", [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (120,), (64,), (10,)]),
    ],
)
def test_shapes_of_the_first_networks(name, expected):
    layers = ("Conv2d", "MaxPool2d", "AvgPool2d", "Flatten", "Linear")
    assert maps(summary(name), *layers) == expected


def test_sides_of_alexnets_maps():
    shapes = maps(summary("alexnet"), "Conv2d", "MaxPool2d")
    assert [shape[-1] for shape in shapes] == [55, 27, 27, 13, 13, 13, 6]


def test_features_of_vgg16():
    assert summary("vgg16")["stages"].output_shape == (1, 512, 7, 7)


def test_one_map_a_stride_of_efficientnet_lite0():
    found = summary("efficientnet_lite0")
    last = {}
    for number in range(7):
        shape = found[f"stages.{number}"].output_shape[1:]
        last[224 // shape[-1]] = shape
    assert last == {
        2: (16, 112, 112), 4: (24, 56, 56), 8: (40, 28, 28), 16: (112, 14, 14), 32: (320, 7, 7),
    }  # fmt: skip


@pytest.mark.parametrize("side", [32, 500])
def test_global_average_pooling_takes_any_size(side):
    network = create_on_meta("resnet18", num_classes=10)
    assert summary(network, input_shape=(3, side, side)).total.output_shape == (1, 10)


def test_a_3x3_filter_on_28_pixels_gives_26():
    assert summary(nn.Conv2d(1, 1, 3), input_shape=(1, 28, 28)).total.output_shape == (1, 1, 26, 26)
