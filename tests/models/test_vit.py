"""Vision transformers: tokens, positions at other sizes, costs by hand, initialisation and dropout."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.layers import SelfAttention, TransformerBlock
from fieldguide.models import MODELS, create_model
from fieldguide.models.vit import TINY, VisionTransformer, vit_b_32, vit_tiny_patch16

SIZES = [  # width, heads, blocks, patch, millions of parameters: Table 1 of the ViT and of the DeiT paper
    ("vit_tiny_patch16", 192, 3, 12, 16, 5.7),
    ("vit_small_patch16", 384, 6, 12, 16, 22.1),
    ("vit_base_patch16", 768, 12, 12, 16, 86.6),
    ("vit_large_patch16", 1024, 16, 24, 16, 304.3),
    ("vit_b_32", 768, 12, 12, 32, 88.2),
]


SHAPE = ("width", "heads", "blocks", "patch")


def on_meta(name, **arguments):
    with torch.device("meta"):
        return create_model(name, **arguments)


@pytest.mark.parametrize(("name", *SHAPE, "params"), SIZES)
def test_is_as_large_as_the_papers_say(name, *, width, heads, blocks, patch, params):
    assert MODELS[name].facts.params / 1e6 == pytest.approx(params, abs=0.05)
    network = on_meta(name)
    assert [len(stage) for stage in network.stages] == [blocks]
    assert {m.num_heads for m in network.modules() if isinstance(m, SelfAttention)} == {heads}
    features = network.forward_features(torch.zeros(1, 3, 224, 224, device="meta"))
    assert features.shape == (1, 1 + (224 // patch) ** 2, width)


@pytest.mark.parametrize(("name", "width", "blocks", "patch"), [(r[0], r[1], r[3], r[4]) for r in SIZES])
def test_multiply_adds_by_hand(name, width, blocks, patch):
    """A block has 12 D^2 a token in its projections, and 2 L^2 D in the attention: by the keys, by the values."""
    patches = (224 // patch) ** 2
    tokens = 1 + patches
    by_block = 12 * tokens * width**2 + 2 * tokens**2 * width
    in_all = patches * patch**2 * 3 * width + blocks * by_block + width * 1000
    assert MODELS[name].facts.macs == in_all


def test_answers_by_its_class_token():
    network, images = vit_tiny_patch16(num_classes=10, size_px=32).eval(), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = network.forward_features(images)
        assert tokens.shape == (2, 5, 192)
        assert_close(network(images), network.classifier(tokens[:, 0]))


def test_takes_every_size_that_patches_fill():
    network = on_meta("vit_tiny_patch16", num_classes=10)
    for size, length in [((16, 16), 2), ((96, 64), 25), ((384, 384), 577)]:
        assert network.forward_features(torch.zeros(1, 3, *size, device="meta")).shape == (1, length, 192)
    with pytest.raises(
        ValueError, match="images are 40x32 px; this network takes sides that are multiples of 16 px"
    ):
        network(torch.zeros(1, 3, 40, 32, device="meta"))
    with pytest.raises(ValueError, match="images are 16x32 px; this network takes 32x32 px or more"):
        on_meta("vit_b_32")(torch.zeros(1, 3, 16, 32, device="meta"))


def test_learns_as_many_positions_as_the_size_has_patches():
    assert vit_tiny_patch16().stem.positions.shape == (1, 197, 192)
    assert vit_tiny_patch16(size_px=96).stem.positions.shape == (1, 37, 192)
    assert on_meta("vit_b_32", size_px=96).stem.positions.shape == (1, 10, 768)


def test_positions_are_interpolated_for_other_sizes():
    """A slope across the learnt grid stays a slope across any other, and the class token's own stays as it is."""
    stem = vit_tiny_patch16(size_px=128).stem
    with torch.no_grad():
        stem.positions[:, 1:] = torch.linspace(0, 1, 8)[:, None].expand(8, 8).reshape(1, 64, 1)  # down the rows
        zeros = stem(torch.zeros(1, 3, 128, 128))
        assert_close(zeros, stem.positions)
        for rows, columns in [(4, 4), (4, 8), (16, 2)]:
            tokens = stem(torch.zeros(1, 3, 16 * rows, 16 * columns))
            assert_close(tokens[:, :1], stem.positions[:, :1])
            grid = tokens[0, 1:].unflatten(0, (rows, columns))
            assert_close(grid, grid[:, :1, :1].expand_as(grid), rtol=0, atol=1e-5)
            heights = grid[:, 0, 0]
            assert (heights.diff() > 0).all()
            assert_close(heights + heights.flip(0), torch.ones(rows), rtol=0, atol=1e-5)


def test_without_positions_the_order_of_patches_does_not_matter():
    torch.manual_seed(0)
    network = vit_tiny_patch16(num_classes=10, size_px=64).eval()
    images = torch.randn(1, 3, 64, 64)
    shuffled = torch.cat(images.split(16, dim=2)[::-1], dim=2)
    with torch.no_grad():
        assert not torch.allclose(network(images), network(shuffled), atol=1e-3)
        network.stem.positions.zero_()
        assert_close(network(images), network(shuffled), rtol=1e-4, atol=1e-5)


def test_weights_begin_by_xaviers_rule_and_queries_keys_and_values_each_by_it():
    torch.manual_seed(0)
    network = vit_tiny_patch16()
    block = network.stages[0][0]
    limits = [(part, (6 / (192 + 192)) ** 0.5) for part in block.attention.qkv.weight.chunk(3)]
    limits += [
        (block.attention.project.weight, (6 / (192 + 192)) ** 0.5),
        (block.mlp.expand.weight, (6 / (192 + 768)) ** 0.5),
        (block.mlp.project.weight, (6 / (192 + 768)) ** 0.5),
        (network.classifier.weight, (6 / (192 + 1000)) ** 0.5),
    ]
    for weight, limit in limits:
        assert weight.abs().max().item() == pytest.approx(limit, rel=0.01)
        assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.02)
    assert network.stem.conv.weight.std().item() == pytest.approx((3 * 16 * 16) ** -0.5, rel=0.02)
    assert network.stem.positions.std().item() == pytest.approx(0.02, rel=0.02)
    assert not network.stem.class_token.any()
    assert not any(m.bias.any() for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))


def test_dropout_and_stochastic_depth_act_in_training_only():
    torch.manual_seed(0)
    network = vit_tiny_patch16(num_classes=10, size_px=32, dropout=0.1, drop_path_rate=0.22)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.1] * (1 + 2 * 12)
    rates = [m.drop_path.rate for m in network.modules() if isinstance(m, TransformerBlock)]
    assert rates == pytest.approx([0.02 * index for index in range(12)])
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(network(images), network(images))
        network.eval()
        assert torch.equal(network(images), network(images))


@pytest.mark.parametrize(
    ("factory", "size_px", "message"),
    [
        (vit_tiny_patch16, 225, "size_px is 225; it must be a multiple of 16, the side of a patch"),
        (vit_tiny_patch16, 8, "size_px is 8; it must be a multiple of 16, the side of a patch"),
        (vit_tiny_patch16, 0, "size_px is 0; it must be above 0"),
        (vit_b_32, 48, "size_px is 48; it must be a multiple of 32, the side of a patch"),
    ],
)
def test_refuses_a_size_that_patches_do_not_fill(factory, size_px, message):
    with pytest.raises(ValueError, match=message):
        factory(size_px=size_px)


def test_refuses_a_patch_that_is_none():
    with pytest.raises(ValueError, match="patch_px is 0; it must be above 0"):
        VisionTransformer(
            TINY, patch_px=0, size_px=224, num_classes=10, in_channels=3, dropout=0.0, drop_path_rate=0.0
        )
