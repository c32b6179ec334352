"""CLIP's residual networks: sizes, the stem, pooling instead of strides, attention pooling, unit length."""

from math import ceil

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.models import MODELS, create_model
from fieldguide.models.clip_resnet import RN50, AttentionPool, CLIPResNet, PooledBottleneck, Size, clip_resnet50

SIZES = [  # width, blocks, embedding, side of the images: Table 19 of the paper
    ("clip_resnet50", 64, (3, 4, 6, 3), 1024, 224),
    ("clip_resnet101", 64, (3, 4, 23, 3), 512, 224),
    ("clip_resnet50x4", 80, (4, 6, 10, 6), 640, 288),
]
SHAPE = ("width", "blocks", "embedding", "side")
TINY = Size(width=16, num_blocks=(1, 1, 1, 1), embedding=8)


def on_meta(name, **arguments):
    with torch.device("meta"):
        return create_model(name, **arguments).eval()


@pytest.mark.parametrize(("name", *SHAPE), SIZES)
def test_is_as_large_as_the_paper_says(name, *, width, blocks, embedding, side):
    network = on_meta(name)
    assert tuple(len(stage) for stage in network.stages) == blocks
    images = torch.zeros(1, 3, side, side, device="meta")
    assert network.forward_features(images).shape == (1, 32 * width, side // 32, side // 32)
    assert network(images).shape == (1, embedding)
    assert network.head.pool.positions.shape == (1 + (side // 32) ** 2, 32 * width)
    assert MODELS[name].facts.input_size_px == side


def test_only_the_first_convolution_has_a_stride():
    network = on_meta("clip_resnet50")
    strides = [m.stride for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [(2, 2)] + [(1, 1)] * (len(strides) - 1)
    pools = [name for name, module in network.named_modules() if isinstance(module, nn.AvgPool2d)]
    assert pools == ["stem_pool", *(f"stages.{s}.0.{p}" for s in (1, 2, 3) for p in ("pool", "shortcut.pool"))]


def test_the_stem_has_three_convolutions_and_quarters_the_image():
    network = on_meta("clip_resnet50")
    convs = [m for m in network.stem.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convs] == [
        (3, 32, (3, 3)),
        (32, 32, (3, 3)),
        (32, 64, (3, 3)),
    ]
    assert network.stem_pool(network.stem(torch.zeros(1, 3, 64, 96, device="meta"))).shape == (1, 64, 16, 24)


def test_a_block_pools_in_its_branch_and_beside_it():
    torch.manual_seed(0)
    block = PooledBottleneck(8, 4, stride=2).eval()
    images = torch.randn(1, 8, 6, 7)
    with torch.no_grad():
        branch = block.conv3(block.conv2(block.conv1(images)).unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)))
        shortcut = block.shortcut.project(images.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)))
        assert_close(block(images), (branch + shortcut).relu())
    assert block(images).shape == (1, 16, 3, 3)
    assert isinstance(PooledBottleneck(16, 4, stride=1).shortcut, nn.Identity)
    assert PooledBottleneck(16, 4, stride=2).eval()(torch.randn(1, 16, 6, 7)).shape == (1, 16, 3, 3)


@pytest.mark.parametrize("size", [(32, 33), (47, 61), (62, 66), (95, 224)])
def test_sides_of_the_last_map_round_as_said(size):
    found = on_meta("clip_resnet50").forward_features(torch.zeros(1, 3, *size, device="meta")).shape[2:]
    assert tuple(found) == tuple(ceil(side / 2) // 16 for side in size)


def test_attention_pooling_by_hand():
    """One head of 64 channels: the mean, with its position, asks itself and the four places."""
    torch.manual_seed(0)
    pool, maps = AttentionPool(64, 5, side=2), torch.randn(1, 64, 2, 2)
    with torch.no_grad():
        places = maps[0].flatten(1).T
        tokens = torch.cat([places.mean(dim=0, keepdim=True), places]) + pool.positions
        weights = (pool.keys(tokens) @ pool.queries(tokens[0]) / 64**0.5).softmax(dim=0)
        expected = pool.project(weights @ pool.values(tokens))
        assert_close(pool(maps)[0], expected, rtol=1e-4, atol=1e-5)


def test_attention_pooling_of_equal_places_without_positions_is_that_place():
    torch.manual_seed(0)
    pool = AttentionPool(128, 5, side=3)
    place = torch.randn(2, 128, 1, 1)
    with torch.no_grad():
        pool.positions.zero_()
        expected = pool.project(pool.values(place.flatten(1)))
        assert_close(pool(place.expand(2, 128, 3, 3)), expected, rtol=1e-4, atol=1e-5)
        assert_close(pool(place.expand(2, 128, 2, 5)), expected, rtol=1e-4, atol=1e-5)


def test_embeddings_have_length_1_and_the_classifier_takes_them():
    torch.manual_seed(0)
    network = clip_resnet50(num_classes=10).eval()
    with torch.no_grad():
        features = network.forward_features(torch.randn(2, 3, 64, 64))
        embeddings = network.head(features)
        projected = network.head.pool(features)
    assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert_close(embeddings, projected / projected.norm(dim=1, keepdim=True))
    assert network.classifier.in_features == 1024


def test_positions_are_learnt_for_the_size_and_interpolated_for_others():
    torch.manual_seed(0)
    network = CLIPResNet(TINY, size_px=96, num_classes=0, in_channels=3).eval()
    assert network.head.pool.positions.shape == (1 + 3 * 3, 512)
    for size in [(96, 96), (32, 64), (130, 97)]:
        with torch.no_grad():
            assert network(torch.randn(2, 3, *size)).shape == (2, 8)


@pytest.mark.parametrize(
    ("size_px", "message"),
    [
        (230, "size_px is 230; it must be a multiple of 32, by which the network reduces images"),
        (16, "size_px is 16; it must be a multiple of 32"),
        (0, "size_px is 0; it must be above 0"),
    ],
)
def test_refuses_a_size_that_leaves_no_whole_map(size_px, message):
    with pytest.raises(ValueError, match=message):
        CLIPResNet(RN50, size_px=size_px, num_classes=0, in_channels=3)
