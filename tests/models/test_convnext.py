"""ConvNeXt: the shapes and costs of its stages, its patches, layer scale and stochastic depth."""

import inspect

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.models import MODELS
from fieldguide.models.convnext import (
    ConvNeXtBlock,
    Downsample,
    LayerScale,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
)

SIZES = [  # in millions of parameters and thousand millions of multiply-adds: the paper's Table 1
    (convnext_tiny, (3, 3, 9, 3), 96, 29, 4.5, 0.1),
    (convnext_small, (3, 3, 27, 3), 96, 50, 8.7, 0.4),
    (convnext_base, (3, 3, 27, 3), 128, 89, 15.4, 0.5),
    (convnext_large, (3, 3, 27, 3), 192, 198, 34.4, 0.5),
]


def shapes_of_stages(network, images):
    shapes, features = [], network.stem(images)
    for stage in network.stages:
        features = stage(features)
        shapes.append(tuple(features.shape[1:]))
    return shapes


def multiply_adds(num_blocks, channels, side=224, num_classes=1000):
    """Count by hand: at each pixel a block of C channels has 49 C in the 7x7, 2 * C * 4C in the linear layers."""
    side //= 4
    total = side**2 * 4 * 4 * 3 * channels
    for stage, count in enumerate(num_blocks):
        if stage:
            side //= 2
            total += side**2 * 2 * 2 * channels * 2 * channels
            channels *= 2
        total += count * side**2 * (49 * channels + 8 * channels**2)
    return total + channels * num_classes


@pytest.mark.parametrize(("factory", "num_blocks", "channels", "params", "macs", "rate"), SIZES)
def test_is_as_large_as_the_paper_says(factory, num_blocks, channels, *, params, macs, rate):
    facts = MODELS[factory.__name__].facts
    assert round(facts.params / 1e6) == params
    assert round(facts.macs / 1e9, 1) == macs
    assert facts.macs == multiply_adds(num_blocks, channels)
    assert inspect.signature(factory).parameters["drop_path_rate"].default == rate


@pytest.mark.parametrize(("factory", "num_blocks", "channels"), [row[:3] for row in SIZES])
def test_stages_shrink_and_widen_as_the_paper_says(factory, num_blocks, channels):
    with torch.device("meta"):
        network, images = factory(num_classes=0), torch.zeros(1, 3, 224, 224)
    assert shapes_of_stages(network, images) == [
        (channels, 56, 56), (2 * channels, 28, 28), (4 * channels, 14, 14), (8 * channels, 7, 7),
    ]  # fmt: skip
    assert network.forward_features(images).shape == (1, 8 * channels, 7, 7)
    kinds = [[type(block) for block in stage] for stage in network.stages]
    assert [kind.count(ConvNeXtBlock) for kind in kinds] == list(num_blocks)
    assert [kind[0] is Downsample for kind in kinds] == [False, True, True, True]
    assert sum(kind.count(Downsample) for kind in kinds) == 3


def test_patches_do_not_overlap():
    network = convnext_tiny(num_classes=0)
    assert (network.stem.conv.kernel_size, network.stem.conv.stride) == ((4, 4), (4, 4))
    for stage in list(network.stages)[1:]:
        assert (stage[0].conv.kernel_size, stage[0].conv.stride) == ((2, 2), (2, 2))


def test_the_form_for_small_images_has_smaller_patches():
    with torch.device("meta"):
        network = convnext_tiny(num_classes=10, small_input=True)
        assert shapes_of_stages(network, torch.zeros(1, 3, 28, 28)) == [
            (96, 14, 14), (192, 7, 7), (384, 3, 3), (768, 1, 1),
        ]  # fmt: skip
        assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 10)
        with pytest.raises(ValueError, match="images are 16x15 px; this network takes 16x16 px or more"):
            network(torch.zeros(1, 3, 16, 15))


def test_rows_and_columns_that_fill_no_patch_are_left_out():
    network, images = convnext_tiny(num_classes=10).eval(), torch.randn(1, 3, 39, 37)
    with torch.no_grad():
        assert_close(network(images), network(images[..., :36, :36]))


def test_begins_near_the_identity():
    """Of the branches: layer scale begins at 1e-6."""
    network = convnext_tiny(num_classes=10).eval()
    scales = [module for module in network.modules() if isinstance(module, LayerScale)]
    assert len(scales) == 18
    assert all((scale.weight == 1e-6).all() for scale in scales)
    features = torch.randn(2, 96, 8, 8)
    with torch.no_grad():
        assert_close(network.stages[0](features), features, rtol=0, atol=1e-4)
        assert not torch.equal(network.stages[0](features), features)


def test_weights_begin_as_the_paper_says():
    torch.manual_seed(0)
    network = convnext_tiny()
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 1 + 3 + 18 * 3 + 1
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()


def test_stochastic_depth_rises_evenly_to_its_rate():
    with torch.device("meta"):
        network = convnext_tiny(drop_path_rate=0.34)
    rates = [m.drop_path.rate for m in network.modules() if isinstance(m, ConvNeXtBlock)]
    assert rates == pytest.approx([0.02 * index for index in range(18)])


def test_stochastic_depth_leaves_out_whole_branches_of_some_images_in_training_only():
    torch.manual_seed(0)
    block = ConvNeXtBlock(8, drop_path_rate=0.5)
    nn.init.ones_(block.scale.weight)
    images = torch.randn(16, 8, 7, 7)
    with torch.no_grad():
        whole = block.eval()(images) - images
        trained = block.train()(images) - images
    left_out = ~trained.flatten(1).any(dim=1)
    assert 0 < left_out.sum() < 16
    assert_close(trained[~left_out], 2 * whole[~left_out])
