"""ZFNet, which no library has: Figure 3's sizes, parameters by hand, AlexNet's response normalisation."""

import pytest
import torch
from torch import nn

from fieldguide.models import MODELS
from fieldguide.models.zfnet import zfnet


@pytest.fixture(scope="module")
def network():
    with torch.device("meta"):
        return zfnet().eval()


def test_maps_have_the_sizes_of_figure_3(network):
    images, shapes = torch.zeros(1, 3, 224, 224, device="meta"), []
    for layer in [*network.stem, *network.stages[0], *network.stages[1]]:
        images = layer(images)
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            shapes.append(tuple(images.shape[1:]))
    assert shapes == [
        (96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13),
        (384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip


def test_each_layer_has_as_many_parameters_as_by_hand(network):
    """Figure 3's filters: inputs x kernel x outputs, and a bias an output; the fifth map is 6x6x256 = 9216."""
    layers = [
        3 * 49 * 96 + 96, 96 * 25 * 256 + 256, 256 * 9 * 384 + 384, 384 * 9 * 384 + 384, 384 * 9 * 256 + 256,
        9216 * 4096 + 4096, 4096 * 4096 + 4096, 4096 * 1000 + 1000,
    ]  # fmt: skip
    found = [sum(p.numel() for p in m.parameters()) for m in network.modules() if hasattr(m, "weight")]
    assert found == layers
    assert sum(layers) == MODELS["zfnet"].facts.params == 62_357_608


def test_multiply_adds_come_out_by_hand():
    outputs = [96 * 110**2, 256 * 26**2, 384 * 13**2, 384 * 13**2, 256 * 13**2, 4096, 4096, 1000]
    inputs = [3 * 49, 96 * 25, 256 * 9, 384 * 9, 384 * 9, 9216, 4096, 4096]  # of each output
    products = sum(out * of_each for out, of_each in zip(outputs, inputs, strict=True))
    assert MODELS["zfnet"].facts.macs == products == 1_168_032_896


def test_normalises_responses_as_alexnet_of_2012():
    """Krizhevsky et al., 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75; the squares are summed."""
    with torch.device("meta"):
        norm = zfnet().stem.norm
    maps = 100 * torch.randn(1, 7, 3, 3)
    squares = maps.square()
    for i in range(7):
        nearby = squares[:, max(0, i - 2) : i + 3].sum(dim=1)
        expected = maps[:, i] / (2 + 1e-4 * nearby) ** 0.75
        torch.testing.assert_close(norm(maps)[:, i], expected)


def test_takes_images_from_47_px_on():
    network = zfnet(num_classes=2).eval()
    with torch.no_grad():
        for size in [(47, 47), (64, 50)]:
            assert network(torch.randn(1, 3, *size)).isfinite().all()
    with pytest.raises(ValueError, match="images are 46x64 px; this network takes 47x47 px or more"):
        network(torch.zeros(1, 3, 46, 64))


def test_begins_with_small_weights_and_no_biases():
    torch.manual_seed(0)
    network = zfnet(num_classes=2)
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
            assert not layer.bias.any()
