"""Layer normalisation over the channels, wherever they stand."""

import torch
from torch.testing import assert_close

from fieldguide.layers import LayerNorm, LayerNorm2d


def by_hand(maps, norm, axis):
    mean, variance = maps.mean(axis, keepdim=True), maps.var(axis, correction=0, keepdim=True)
    shape = [-1 if a == axis % maps.ndim else 1 for a in range(maps.ndim)]
    return (maps - mean) / (variance + 1e-6).sqrt() * norm.weight.reshape(shape) + norm.bias.reshape(shape)


def filled(norm):
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    torch.nn.init.normal_(norm.bias)
    return norm


def test_normalises_the_last_axis():
    norm, tokens = filled(LayerNorm(5)), 1e-3 * torch.randn(2, 7, 5)  # so small that eps tells
    assert_close(norm(tokens), by_hand(tokens, norm, -1))


def test_normalises_each_pixel_of_a_map_over_its_channels():
    norm, images = filled(LayerNorm2d(5)), 1e-3 * torch.randn(2, 5, 4, 3)
    normalised = norm(images)
    assert_close(normalised, by_hand(images, norm, 1))
    assert normalised.is_contiguous(memory_format=torch.channels_last)
    kept = images.contiguous(memory_format=torch.channels_last)
    assert_close(norm(kept), normalised)
