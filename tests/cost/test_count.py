"""Multiply-adds, bias additions and activation memory: against torch's own counter and against hand formulas."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.cost.count import count, total_macs
from fieldguide.introspection import create_on_meta
from fieldguide.layers import SameConv2d
from fieldguide.models import create_model

IMAGE = (1, 3, 224, 224)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "timm:convnextv2_atto",
        "timm:mixer_s32_224",
        "timm:swin_tiny_patch4_window7_224",
        "timm:vit_large_patch16_224",
        "torchvision:googlenet",
        "torchvision:shufflenet_v2_x0_5",
        "torchvision:vit_b_32",
    ],
)
def test_totals_equal_those_of_torchs_counter(name):
    network = create_on_meta(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(IMAGE, device="meta"))
    assert total_macs(network, IMAGE) == counter.get_total_flops() // 2


@pytest.mark.parametrize("groups", [1, 4, 32])
@pytest.mark.parametrize("kind", [nn.Conv2d, SameConv2d])
def test_a_convolution_by_its_formula(kind, groups):
    conv = kind(32, 64, 3, stride=2, padding=1, groups=groups)
    counts = count(conv, (2, 32, 20, 20))
    outputs = 2 * 64 * 10 * 10
    assert counts.output_shapes[""] == (2, 64, 10, 10)
    assert counts.macs.total() == outputs * 9 * 32 // groups
    assert counts.bias_adds.total() == outputs
    assert counts.output_bytes.total() == 4 * outputs
    assert count(kind(32, 64, 3, padding=1, groups=groups, bias=False), (1, 32, 20, 20)).bias_adds.total() == 0


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)

    def forward(self, images):
        tokens = self.qkv(images.flatten(2).transpose(1, 2))  # not contiguous: torch multiplies, then adds
        batch, length, _ = tokens.shape
        query, key, value = tokens.reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(query, key, value)


def test_attention_by_its_formula():
    counts = count(Attention(64, heads=4), (1, 64, 7, 7))
    length = 49
    assert counts.macs == {"qkv": length * 64 * 192, "": 2 * length * length * 64}
    assert counts.bias_adds == {"qkv": length * 192}


def test_torchs_multihead_attention_is_counted_whole():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(48, 3, batch_first=True)

        def forward(self, images):
            tokens = images.flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    length, channels = 25, 48
    counts = count(Layer(), (1, channels, 5, 5))
    assert counts.macs.total() == 4 * length * channels**2 + 2 * length**2 * channels
    assert counts.bias_adds.total() == 4 * length * channels


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.ConvTranspose2d(8, 4, 3, stride=2), 8 * 10 * 10 * 4 * 9),
        (nn.Conv2d(8, 4, 3, dilation=2), 4 * 6 * 6 * 8 * 9),
        (nn.Linear(10, 7), 8 * 10 * 10 * 7),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_other_products_of_other_kinds_of_numbers(layer, macs, kind):
    assert total_macs(layer.to(kind), (1, 8, 10, 10)) == macs


def test_an_output_that_takes_no_memory_is_not_counted():
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.Identity(), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.ReLU()
    )
    counts = count(network, (1, 1, 4, 4))
    assert [counts.output_bytes[str(n)] for n in range(6)] == [128, 0, 0, 0, 0, 128]


def test_a_module_that_is_called_twice_is_counted_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return self.conv(self.conv(images))

    counts = count(Twice(), (1, 3, 5, 5))
    assert counts.macs == {"conv": 2 * 9 * 25}
    assert counts.output_bytes["conv"] == 2 * 4 * 3 * 25


def test_the_network_stays_as_it_is():
    network = create_model("resnet18", num_classes=3)
    network.stages[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    kept = dict(network.named_parameters())
    count(network, (1, 3, 64, 64))
    assert [m.training for m in network.modules()] == modes
    assert all(parameter is kept[name] for name, parameter in network.named_parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_network_that_cannot_take_the_images_says_why():
    with pytest.raises(ValueError, match="images are 10x10 px; this network takes 32x32 px or more"):
        count(create_on_meta("resnet18"), (1, 3, 10, 10))
    with pytest.raises(ValueError, match=r"images of 3x8x8 don't pass through the network: .+"):
        count(nn.Conv2d(1, 2, 1), (1, 3, 8, 8))
    with pytest.raises(
        ValueError, match=r"images of 3x100x100 don't pass through the network: Input height \(100\) doesn't match"
    ):
        count(create_on_meta("timm:vit_tiny_patch16_224"), (1, 3, 100, 100))
