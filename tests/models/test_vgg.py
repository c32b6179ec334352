"""VGG: the numbers of the lessons and of the paper, its blocks, its form for small images."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.models import MODELS, create_model
from fieldguide.models.vgg import VGG

DEPTHS = [11, 13, 16, 19]


def on_meta(name, **arguments):
    with torch.device("meta"):
        return create_model(name, **arguments).eval()


def count(network, *, trainable=False):
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable)


def multiply_adds(network, size_px):
    """Return the products of one image, and the outputs of layers with biases, each of which adds one."""
    outputs = []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(lambda _, __, output: outputs.append(output.numel()))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size_px, size_px, device="meta"))
    return counter.get_total_flops() // 2, sum(outputs)


def vgg16_with_one_new_layer():
    """Freeze the features, and put one linear layer of two classes in the place of all others."""
    network = on_meta("vgg16", num_classes=0)
    network.requires_grad_(False)
    network.head, network.classifier = nn.Flatten(), nn.Linear(25_088, 2, device="meta")
    return network


@pytest.mark.parametrize("depth", DEPTHS)
def test_has_as_many_layers_with_weights_as_it_is_called(depth):
    layers = [m for m in on_meta(f"vgg{depth}").modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth


@pytest.mark.parametrize(("depth", "millions"), [(11, 133), (13, 133), (16, 138), (19, 144)])
def test_has_as_many_parameters_as_table_2_says(depth, millions):
    assert round(count(on_meta(f"vgg{depth}")) / 1e6) == millions


@pytest.mark.parametrize("depth", DEPTHS)
def test_normalisation_adds_two_parameters_a_channel(depth):
    plain, normalised = on_meta(f"vgg{depth}"), on_meta(f"vgg{depth}_bn")
    channels = sum(m.out_channels for m in plain.modules() if isinstance(m, nn.Conv2d))
    assert count(normalised) - count(plain) == 2 * channels
    assert MODELS[f"vgg{depth}_bn"].facts.macs == MODELS[f"vgg{depth}"].facts.macs


def test_vgg16_has_the_lessons_numbers():
    network = on_meta("vgg16")
    assert count(network) == 138_357_544
    products, biases = multiply_adds(network, 224)
    assert products == 15_470_264_320
    assert round((products + biases) / 1e9, 2) == 15.48


def test_vgg16_with_one_new_layer_trains_that_alone():
    network = vgg16_with_one_new_layer()
    assert count(network) == 14_764_866
    assert count(network, trainable=True) == 25_088 * 2 + 2 == 50_178
    assert round(sum(multiply_adds(network, 244)) / 1e9, 2) == 17.99


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_every_block_ends_with_its_pooling(name):
    network, images, shapes = on_meta(name), torch.zeros(1, 3, 224, 224, device="meta"), []
    for block in network.stages:
        images = block(images)
        shapes.append(tuple(images.shape[1:]))
        assert list(dict(block.named_children()))[-1] == "pool"
    assert shapes == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    assert network.forward_features(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 512, 7, 7)


@pytest.mark.parametrize("size", [(32, 32), (224, 224), (300, 97)], ids=str)
def test_the_same_weights_take_any_size_from_32_px_on(size):
    assert on_meta("vgg11")(torch.zeros(2, 3, *size, device="meta")).shape == (2, 1000)


class TestSmallInput:
    def test_has_one_linear_layer(self):
        network = on_meta("vgg16_bn", num_classes=10, small_input=True)
        convolutions, normalisations = 14_714_688, 2 * 4_224
        assert count(network) == convolutions + normalisations + 512 * 10 + 10 == 14_728_266
        assert [type(layer) for layer in network.head] == [nn.Flatten, nn.Dropout]

    @pytest.mark.parametrize(("size_px", "side"), [(16, 1), (28, 1), (32, 2), (64, 4)])
    def test_the_last_block_keeps_its_map(self, size_px, side):
        network = on_meta("vgg11", num_classes=10, small_input=True)
        images = torch.zeros(2, 3, size_px, size_px, device="meta")
        assert network.forward_features(images).shape == (2, 512, side, side)
        assert network(images).shape == (2, 10)

    def test_without_classes_gives_the_means(self):
        network = create_model("vgg11", num_classes=0, small_input=True).eval()
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(network(images), network.forward_features(images).mean(dim=(2, 3)))

    def test_names_the_least_size_that_it_takes(self):
        with pytest.raises(ValueError, match="images are 15x32 px; this network takes 16x16 px or more"):
            on_meta("vgg11", small_input=True)(torch.zeros(1, 3, 15, 32, device="meta"))


@pytest.mark.parametrize("depth", [12, 0, "16"])
def test_refuses_a_depth_that_there_is_not(depth):
    with pytest.raises(ValueError, match=f"depth is {depth!r}; it must be one of 11, 13, 16, 19"):
        VGG(depth, num_classes=10, in_channels=3, dropout=0.5, small_input=False)


def test_begins_as_torchvision_does():
    torch.manual_seed(0)
    network = create_model("vgg11", num_classes=10, small_input=True)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert float(layer.weight.detach().std()) == pytest.approx(
                (2 / (9 * layer.out_channels)) ** 0.5, rel=0.06
            )
            assert not layer.bias.any()
        elif isinstance(layer, nn.Linear):
            assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
            assert not layer.bias.any()
