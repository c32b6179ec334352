"""ConvNeXt V2: global response normalisation, and the sizes of its paper."""

import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.models import MODELS, create_model
from fieldguide.models.convnext import ConvNeXtBlock
from fieldguide.models.convnext_v2 import GlobalResponseNorm

# Blocks, first channels, millions of parameters, thousand millions of multiply-adds: the table of results at
# https://github.com/facebookresearch/ConvNeXt-V2
SIZES = [
    ("atto", (2, 2, 6, 2), 40, 3.7, 0.55),
    ("femto", (2, 2, 6, 2), 48, 5.2, 0.78),
    ("pico", (2, 2, 6, 2), 64, 9.1, 1.37),
    ("nano", (2, 2, 8, 2), 80, 15.6, 2.45),
    ("tiny", (3, 3, 9, 3), 96, 28.6, 4.47),
    ("base", (3, 3, 27, 3), 128, 89.0, 15.4),
    ("large", (3, 3, 27, 3), 192, 198.0, 34.4),
]


def filled_norm(channels):
    norm = GlobalResponseNorm(channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def test_global_response_norm_is_the_papers_sum():
    norm, maps = filled_norm(6), torch.randn(3, 5, 4, 6)
    response = (maps**2).sum(dim=(1, 2), keepdim=True).sqrt()
    relative = response / (response.mean(dim=-1, keepdim=True) + 1e-6)
    assert_close(norm(maps), norm.weight * (maps * relative) + norm.bias + maps)


def test_global_response_norm_begins_as_the_identity():
    maps = torch.randn(2, 3, 3, 4)
    assert torch.equal(GlobalResponseNorm(4)(maps), maps)


def test_global_response_norm_of_an_empty_map_has_a_gradient():
    norm, maps = filled_norm(4), torch.zeros(2, 3, 3, 4, requires_grad=True)
    norm(maps).sum().backward()
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize(("size", "num_blocks", "channels", "params", "macs"), SIZES)
def test_is_as_large_as_its_authors_say(size, num_blocks, channels, params, macs):
    name = f"convnext_v2_{size}"
    facts = MODELS[name].facts
    assert facts.params / 1e6 == pytest.approx(params, rel=0.01)
    assert facts.macs / 1e9 == pytest.approx(macs, rel=0.01)
    with torch.device("meta"):
        network = create_model(name)
    assert network.forward_features(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 8 * channels, 7, 7)
    blocks = [[b for b in stage if isinstance(b, ConvNeXtBlock)] for stage in network.stages]
    assert [len(stage) for stage in blocks] == list(num_blocks)
    for block in itertools.chain(*blocks):
        assert isinstance(block.hidden_norm, GlobalResponseNorm)
        assert isinstance(block.scale, nn.Identity)


@pytest.mark.parametrize("size", ["tiny", "base", "large"])
def test_differs_from_the_first_version_by_the_norm_and_the_scale(size):
    """In a block of C channels the norm has 2 * 4C parameters, and the layer scale that it replaces had C."""
    first, second = (MODELS[f"{family}_{size}"].facts for family in ("convnext", "convnext_v2"))
    num_blocks, channels = next(row[1:3] for row in SIZES if row[0] == size)
    in_blocks = sum(count * channels * 2**stage for stage, count in enumerate(num_blocks))
    assert second.params - first.params == 7 * in_blocks
    assert second.macs == first.macs


def test_defaults_of_stochastic_depth():
    def last_rate(size):
        with torch.device("meta"):
            return create_model(f"convnext_v2_{size}").stages[-1][-1].drop_path.rate

    rates = [last_rate(row[0]) for row in SIZES]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1])
