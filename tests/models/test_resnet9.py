"""ResNet-9: the shapes and numbers of its description, its residual pair, its pooling, its width."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.models import MODELS
from fieldguide.models.resnet9 import ResidualPair, resnet9

CONVOLUTIONS = [  # inputs, outputs and the side of the map, as Page draws it
    (3, 64, 32), (64, 128, 32), (128, 128, 16), (128, 128, 16),
    (128, 256, 16), (256, 512, 8), (512, 512, 4), (512, 512, 4),
]  # fmt: skip


def on_meta(**arguments):
    with torch.device("meta"):
        return resnet9(**arguments).eval()


def test_each_convolution_has_the_channels_and_the_map_of_the_description():
    network, found = on_meta(), []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, output: found.append((conv.in_channels, conv.out_channels, output.shape[-1]))
            )
    network(torch.zeros(1, 3, 32, 32, device="meta"))
    assert found == CONVOLUTIONS


def test_parameters_and_multiply_adds_come_out_by_hand():
    weights = [9 * inputs * outputs for inputs, outputs, _ in CONVOLUTIONS]
    norms = sum(2 * outputs for _, outputs, _ in CONVOLUTIONS)
    assert MODELS["resnet9"].facts.params == sum(weights) + norms + 512 * 10 + 10 == 6_573_130
    products = sum(w * side**2 for w, (_, _, side) in zip(weights, CONVOLUTIONS, strict=True)) + 512 * 10
    assert MODELS["resnet9"].facts.macs == products == 379_261_952


def test_stages_shrink_and_widen_as_described():
    network, shapes = on_meta(), []
    maps = network.stem(torch.zeros(1, 3, 32, 32, device="meta"))
    for stage in network.stages:
        maps = stage(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert [hasattr(stage, "residual") for stage in network.stages] == [True, False, True]


def test_a_residual_pair_adds_what_is_activated_already():
    torch.manual_seed(0)
    pair, images = ResidualPair(4).eval(), torch.randn(2, 4, 5, 5)
    before = images.clone()
    with torch.no_grad():
        added = pair(images) - images
        assert (added >= 0).all()
        assert added.any()
        assert_close(added, pair.conv2(pair.conv1(images)), rtol=0, atol=1e-6)
    assert torch.equal(images, before), "activations in place leave the shortcut as it was"


def test_the_classifier_takes_an_eighth_of_each_maps_largest_number():
    torch.manual_seed(0)
    network = resnet9(width=0.125).eval()
    images = torch.randn(2, 3, 16, 24)
    with torch.no_grad():
        maxima = network.forward_features(images).flatten(2).max(dim=2).values
        weight, bias = network.classifier.weight, network.classifier.bias
        assert_close(network(images), 0.125 * (maxima @ weight.T) + bias)
        network.classifier = nn.Identity()
        assert_close(network(images), maxima / 8)


def test_mirrored_it_answers_a_picture_and_its_mirror_image_alike():
    network, images = resnet9(width=0.125, mirrored=True).eval(), torch.randn(2, 3, 16, 16)
    plain = resnet9(width=0.125).eval()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert_close(network(images), (plain(images) + plain(images.flip(-1))) / 2)
        assert_close(network(images), network(images.flip(-1)))
        network.train(), plain.train()
        assert torch.equal(network(images), plain(images)), "it learns from what it is given"


@pytest.mark.parametrize(
    ("width", "channels"), [(2.0, [128, 256, 512, 1024]), (0.5, [32, 64, 128, 256]), (0.001, [1, 1, 1, 1])]
)
def test_width_multiplies_every_channel_count(width, channels):
    network = on_meta(width=width)
    found = [network.stem.conv, *(stage.conv for stage in network.stages)]
    assert [conv.out_channels for conv in found] == channels
    assert network.classifier.in_features == channels[-1]


@pytest.mark.parametrize("width", [0, -1.0, float("inf"), float("nan"), "1"])
def test_refuses_a_width_that_is_none(width):
    with pytest.raises(ValueError, match=f"width is {width!r}; it must be above 0"):
        resnet9(width=width)


def test_says_below_which_size_nothing_is_left():
    with pytest.raises(ValueError, match="images are 7x32 px; this network takes 8x8 px or more"):
        on_meta()(torch.zeros(1, 3, 7, 32, device="meta"))
