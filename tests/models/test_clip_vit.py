"""CLIP's vision transformers: sizes, costs by hand, embeddings of length 1, QuickGELU against GELU, positions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from fieldguide.layers import SelfAttention, TransformerBlock
from fieldguide.models import MODELS, create_model
from fieldguide.models.clip_vit import BASE, CLIPVisionTransformer, QuickGELU, clip_vit_b_32

SHAPE = ("width", "heads", "blocks", "patch", "embedding")
SIZES = [  # Table 20 of the paper
    ("clip_vit_b_32", 768, 12, 12, 32, 512),
    ("clip_vit_b_16", 768, 12, 12, 16, 512),
    ("clip_vit_l_14", 1024, 16, 24, 14, 768),
]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def on_meta(name, **arguments):
    with torch.device("meta"):
        return create_model(name, **arguments)


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return clip_vit_b_32(size_px=64).eval()


@pytest.mark.parametrize(("name", *SHAPE), SIZES)
def test_is_as_large_as_the_paper_says(name, *, width, heads, blocks, patch, embedding):
    network = on_meta(name)
    assert [len(stage) for stage in network.stages] == [blocks]
    assert {m.num_heads for m in network.modules() if isinstance(m, SelfAttention)} == {heads}
    images = torch.zeros(1, 3, 224, 224, device="meta")
    assert network.forward_features(images).shape == (1, 1 + (224 // patch) ** 2, width)
    assert network(images).shape == (1, embedding)


@pytest.mark.parametrize(("name", *SHAPE), SIZES)
def test_multiply_adds_by_hand(name, *, width, heads, blocks, patch, embedding):
    """A block has 12 D^2 a token in its projections, and 2 L^2 D in the attention."""
    patches = (224 // patch) ** 2
    tokens = 1 + patches
    by_block = 12 * tokens * width**2 + 2 * tokens**2 * width
    assert MODELS[name].facts.macs == patches * patch**2 * 3 * width + blocks * by_block + width * embedding


def test_embeddings_have_length_1_and_point_where_the_projected_class_token_does(tower):
    with torch.no_grad():
        embeddings, tokens = tower(IMAGES), tower.forward_features(IMAGES)
        projected = tokens[:, 0] @ tower.head.project.weight.T
    assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert_close(embeddings, projected / projected.norm(dim=1, keepdim=True))


def test_a_classifier_whose_rows_are_texts_gives_scaled_cosines(tower):
    texts = F.normalize(torch.randn(5, 512, generator=torch.Generator().manual_seed(1)), dim=1)
    network = clip_vit_b_32(num_classes=5, size_px=64).eval()
    network.load_state_dict(tower.state_dict(), strict=False)
    with torch.no_grad():
        network.classifier.weight.copy_(100 * texts)
        cosines = F.cosine_similarity(tower(IMAGES)[:, None], texts[None], dim=2)
        assert_close(network(IMAGES), 100 * cosines, rtol=1e-4, atol=1e-4)


def test_tokens_are_normalised_before_the_blocks_as_well(tower):
    with torch.no_grad():
        assert_close(tower.stem(IMAGES), F.layer_norm(tower.stem.patches(IMAGES), (768,)))
    assert {m.eps for m in tower.modules() if isinstance(m, nn.LayerNorm)} == {1e-5}
    assert tower.stem.patches.conv.bias is None
    assert tower.head.project.bias is None


def test_quick_gelu_is_near_gelu_but_another_function():
    inputs = torch.linspace(-6, 6, 1201)
    assert_close(QuickGELU()(inputs), inputs / (1 + (-1.702 * inputs).exp()))
    difference = (QuickGELU()(inputs) - F.gelu(inputs)).abs().max().item()
    assert difference == pytest.approx(0.0203, abs=2e-4)


def test_quick_gelu_is_in_every_block_where_it_is_asked_for(tower):
    quick = clip_vit_b_32(size_px=64, quick_gelu=True).eval()
    quick.load_state_dict(tower.state_dict())
    for network, kind in [(tower, nn.GELU), (quick, QuickGELU)]:
        acts = [m.mlp.act for m in network.modules() if isinstance(m, TransformerBlock)]
        assert [type(act) for act in acts] == [kind] * 12
    with torch.no_grad():
        difference = (quick(IMAGES) - tower(IMAGES)).abs().max()
    assert 1e-4 < difference < 0.1


def test_learns_as_many_positions_as_the_size_has_patches_and_takes_other_sizes():
    network = on_meta("clip_vit_l_14", size_px=336)
    assert network.stem.patches.positions.shape == (1, 1 + 24**2, 1024)
    assert network(torch.zeros(1, 3, 28, 42, device="meta")).shape == (1, 768)
    assert sum(p.numel() for p in network.parameters()) == 304_293_888  # open_clip's ViT-L-14-336
    with pytest.raises(ValueError, match="images are 32x28 px; this network takes sides that are multiples of 14"):
        network(torch.zeros(1, 3, 32, 28, device="meta"))


def test_begins_as_clip_does(tower):
    patches = tower.stem.patches
    for parameter in (patches.class_token, patches.positions, tower.head.project.weight):
        assert parameter.std().item() == pytest.approx(768**-0.5, rel=0.1)


def test_stochastic_depth_acts_in_training_only():
    torch.manual_seed(0)
    network = clip_vit_b_32(size_px=64, drop_path_rate=0.22)
    rates = [m.drop_path.rate for m in network.modules() if isinstance(m, TransformerBlock)]
    assert rates == pytest.approx([0.02 * index for index in range(12)])
    with torch.no_grad():
        assert not torch.equal(network(IMAGES), network(IMAGES))
        network.eval()
        assert torch.equal(network(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("name", "size_px", "message"),
    [
        ("clip_vit_b_32", 48, "size_px is 48; it must be a multiple of 32, the side of a patch"),
        ("clip_vit_b_16", 8, "size_px is 8; it must be a multiple of 16, the side of a patch"),
        ("clip_vit_l_14", 225, "size_px is 225; it must be a multiple of 14, the side of a patch"),
        ("clip_vit_l_14", 0, "size_px is 0; it must be above 0"),
    ],
)
def test_refuses_a_size_that_patches_do_not_fill(name, size_px, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, size_px=size_px)


def test_refuses_a_patch_that_is_none():
    with pytest.raises(ValueError, match="patch_px is 0; it must be above 0"):
        CLIPVisionTransformer(
            BASE, patch_px=0, size_px=224, num_classes=0, in_channels=3, quick_gelu=False, drop_path_rate=0.0
        )
