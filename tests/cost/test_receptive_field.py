"""Receptive fields: against hand numbers, and against which pixels really change an output."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fieldguide.cost._reach import recollapsed, reshaped
from fieldguide.cost.receptive_field import ReceptiveField, Span, receptive_fields
from fieldguide.introspection import create_on_meta
from fieldguide.layers import InvertedResidual, SameConv2d, SqueezeExcite


def square(size, stride, padding):
    span = Span(size=size, stride=stride, padding=padding)
    return ReceptiveField(span, span)


GLOBAL = ReceptiveField(None, None)


# Hand numbers


@pytest.mark.parametrize(("times", "size"), [(1, 3), (2, 5), (3, 7)])
def test_a_stack_of_3x3_sees_as_much_as_one_larger(times, size):
    stack = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(times)))
    assert receptive_fields(stack, (1, 1, 32, 32))[""] == square(size, 1, times)


@pytest.mark.parametrize(
    ("name", "module", "expected"),
    [
        ("torchvision:alexnet", "features.0", square(11, 4, 2)),
        ("torchvision:alexnet", "features.10", square(163, 16, 66)),
        ("torchvision:alexnet", "features.12", square(195, 32, 66)),
        ("torchvision:vgg16", "features.30", square(212, 32, 90)),
        ("torchvision:vgg16", "avgpool", square(212, 32, 90)),
        ("torchvision:vgg16", "classifier.0", GLOBAL),
        # 11 after the pooling; then 2 px to either side of a 3x3's step for every block, of which the first one of
        # a stage has the previous stage's step: 3*8, 8+3*16, 16+5*32, 32+2*64.
        ("torchvision:resnet50", "maxpool", square(11, 4, 5)),
        ("torchvision:resnet50", "layer1", square(35, 4, 17)),
        ("torchvision:resnet50", "layer2", square(91, 8, 45)),
        ("torchvision:resnet50", "layer3", square(267, 16, 133)),
        ("torchvision:resnet50", "layer4", square(427, 32, 213)),
        ("torchvision:resnet50", "avgpool", GLOBAL),
        ("torchvision:googlenet", "inception3a", square(43, 8, 15)),  # 5x5 branch: 27 + 2*8; pooling without edge
        ("torchvision:mobilenet_v2", "features", square(491, 32, 245)),
        ("timm:vit_base_patch16_224", "patch_embed", square(16, 16, 0)),
        (
            "timm:vit_base_patch16_224",
            "blocks.0.attn.q_norm",
            square(16, 16, 0),
        ),  # a token sees its patch, by heads
        ("timm:vit_base_patch16_224", "blocks.0", GLOBAL),
        ("timm:swin_tiny_patch4_window7_224", "layers.0.blocks.0", square(28, 4, 0)),
        ("timm:convnext_tiny", "stages.0", square(4 + 3 * 6 * 4, 4, 3 * 3 * 4)),
    ],
)
def test_well_known_networks(name, module, expected):
    assert receptive_fields(create_on_meta(name), (1, 3, 224, 224))[module] == expected


def test_it_does_not_depend_on_the_size_of_the_image():
    network = create_on_meta("resnet50")
    fields = [receptive_fields(network, (1, 3, side, side))["stages"] for side in (33, 64, 224, 1000)]
    assert fields == [square(427, 32, 213)] * 4


def test_one_by_one_maps_keep_their_stride():
    network = nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, padding=1))
    assert receptive_fields(network, (1, 3, 9, 9))["1"] == square(9, 2, 0)
    assert receptive_fields(network, (1, 3, 9, 9))[""] == square(13, 2, 2)


def test_rows_and_columns_may_differ():
    network = nn.Sequential(nn.Conv2d(1, 1, (1, 7), padding=(0, 3), stride=(2, 1)), nn.MaxPool2d((3, 1), stride=1))
    assert receptive_fields(network, (1, 1, 40, 40))[""] == ReceptiveField(Span(5, 2, 0), Span(7, 1, 3))


def test_what_depends_on_no_pixel_has_no_field():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Linear(2, 2)
            self.weight = nn.Parameter(torch.ones(1, 2))

        def forward(self, images):
            return images * self.scale(self.weight)[0, 0]

    assert set(receptive_fields(Constant(), (1, 1, 4, 4))) == {""}


def test_what_is_kept_does_not_grow_with_the_area_of_the_image():
    many = torch.zeros(1, 1, 1, 3).expand(1, 1 << 20, 1 << 20, 3)  # 12 TiB, were it laid out
    assert set(recollapsed(many).stride()[1:]) == {0}
    rows = torch.arange(3).expand(1, 1 << 20, 1 << 20, 3)
    assert reshaped(rows, torch.Size([1 << 20, 1 << 20, 3])).stride() == (0, 0, 1)
    side = 8192
    assert receptive_fields(create_on_meta("resnet50"), (1, 3, side, side))["stages"] == square(427, 32, 213)
    with pytest.raises(ValueError, match=r"images are 8193x64 px; .* 8192 px at most"):
        receptive_fields(create_on_meta("resnet50"), (1, 3, 8193, 64))


# Gates


@pytest.mark.parametrize("gated", [SqueezeExcite(4, 2), nn.GroupNorm(2, 4), nn.LayerNorm([4, 32, 32])])
def test_gates_are_left_out_unless_asked_for(gated):
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), gated, nn.Conv2d(4, 4, 3, padding=1))
    assert receptive_fields(network, (1, 1, 32, 32))[""] == square(5, 1, 2)
    assert receptive_fields(network, (1, 1, 32, 32), count_gates=True)[""] == GLOBAL


def test_global_response_normalisation_is_a_gate():
    network = create_on_meta("timm:convnextv2_atto")
    assert receptive_fields(network, (1, 3, 224, 224))["stages.0"] == square(52, 4, 24)
    assert receptive_fields(network, (1, 3, 224, 224), count_gates=True)["stages.0"] == GLOBAL


def test_batch_norm_in_evaluation_is_no_gate():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    assert receptive_fields(network, (1, 1, 32, 32), count_gates=True)[""] == square(3, 1, 0)


# Against which pixels really matter


class Branches(nn.Module):
    def __init__(self, *branches, join):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, images):
        maps = [branch(images) for branch in self.branches]
        return torch.cat(maps, dim=1) if self.join == "cat" else sum(maps)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


class Doubled(nn.Module):
    """Channels shuffled, split, one half filtered, joined: as ShuffleNet has it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, groups=2)

    def forward(self, images):
        batch, channels, height, width = images.shape
        mixed = images.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(images.shape)
        kept, filtered = mixed.chunk(2, dim=1)
        return torch.cat([kept, self.conv(filtered)], dim=1)


def padded_channels(images):
    return F.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))


NETWORKS = {
    "stride": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Conv2d(2, 2, 5, padding=2)),
    "dilation": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, dilation=3), nn.Conv2d(2, 2, 2)),
    "even kernels": lambda: nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.Conv2d(2, 2, 4, padding=1)),
    "same": lambda: nn.Sequential(SameConv2d(1, 4, 3, 2, 1), SameConv2d(4, 4, 5, 2, 2), SameConv2d(4, 4, 3, 2, 1)),
    "pools": lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.Conv2d(1, 1, 3), nn.AvgPool2d(2, ceil_mode=True)),
    "residual": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3),
        Branches(
            nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)), nn.Identity(), join="+"
        ),
        Branches(nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.Conv2d(2, 2, 1, stride=2), join="+"),
    ),
    "inception": lambda: nn.Sequential(
        Branches(
            nn.Conv2d(1, 2, 1),
            nn.Sequential(nn.Conv2d(1, 2, (1, 7), padding=(0, 3)), nn.Conv2d(2, 1, 3, padding=1)),
            nn.AvgPool2d(3, stride=1, padding=1),
            join="cat",
        ),
        nn.Conv2d(4, 2, 3, stride=2, groups=2),
    ),
    "fields side by side": lambda: Branches(
        nn.Conv2d(1, 1, 3, stride=2, padding=1), SameConv2d(1, 1, 3, 2, 1), join="cat"
    ),
    "groups keep apart": lambda: nn.Sequential(
        Branches(nn.Conv2d(1, 1, 9, padding=4), nn.Conv2d(1, 1, 1), join="cat"),
        nn.Conv2d(2, 2, 3, padding=1, groups=2),
        Function(lambda x: x[:, 1:]),
    ),
    "shuffled channels": lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Doubled(), Doubled(), Doubled()),
    "channels of zeros": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), Function(padded_channels)),
    "channels last": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 4, stride=4), Function(lambda x: x.permute(0, 2, 3, 1)), nn.Linear(4, 3), nn.GELU(),
        Function(lambda x: x.permute(0, 3, 1, 2)), nn.Conv2d(3, 2, 3, padding=1),
    ),
    "pixels to channels": lambda: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.PixelUnshuffle(4)),
    "patches as tokens": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 8, stride=8), Function(lambda x: x.flatten(2).transpose(1, 2)), nn.Linear(4, 2),
        Function(lambda x: x.transpose(1, 2).unflatten(2, (7, 7))),
    ),
    "enlarged": lambda: nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=4, padding=1), nn.Upsample(scale_factor=2),
        nn.Conv2d(1, 1, 4, stride=2, padding=1),
    ),
    "inverted residual": lambda: InvertedResidual(1, 2, hidden_channels=4, kernel_size=5, stride=2),
    "in place": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_field_is_where_pixels_matter(name):
    """Weights are positive, so that nothing cancels; the output in the middle is far from every edge."""
    network = NETWORKS[name]().double().eval()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    image = torch.rand(1, 1, 56, 56, dtype=torch.float64, requires_grad=True)
    outputs = network(image)
    row, column = outputs.shape[-2] // 2, outputs.shape[-1] // 2
    outputs[0, :, row, column].sum().backward()
    matters = image.grad[0, 0] != 0
    field = receptive_fields(network, image.shape)[""]
    for span, index, others in ((field.rows, row, 1), (field.columns, column, 0)):
        places = matters.any(dim=others).nonzero().flatten()
        first = index * span.stride - span.padding
        assert (int(places.min()), int(places.max())) == (first, first + span.size - 1)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), SqueezeExcite(2, 2)),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 10 * 10, 3)),
        nn.Sequential(nn.Conv2d(1, 2, 3), Function(lambda x: torch.fft.fft2(x).real)),
    ],
    ids=["gate", "pooling", "linear", "no rule"],
)
def test_what_is_called_global_is(network):
    network = network.double().eval()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.01, 0.02)  # positive: no unit is dead, no gate saturated
    image = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    outputs = network(image)
    outputs.flatten()[len(outputs.flatten()) // 2].backward()
    assert (image.grad != 0).all()
    assert receptive_fields(network, image.shape, count_gates=True)[""] == GLOBAL
