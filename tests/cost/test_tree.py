"""The layer tree: sums, shapes, and what is refused."""

import pytest
import torch
from torch import nn

from fieldguide.cost import ReceptiveField, Span, summary
from fieldguide.errors import UnknownNameError
from fieldguide.models import MODELS


@pytest.fixture(scope="module")
def resnet():
    return summary("resnet18", size_px=64, num_classes=10, freeze="stem")


def test_every_module_has_its_row_in_the_order_of_the_tree(resnet):
    network = MODELS["resnet18"].factory(num_classes=10)
    assert [m.name for m in resnet.modules] == [name for name, _ in network.named_modules()]
    assert [m.kind for m in resnet.modules] == [type(module).__name__ for module in network.modules()]
    assert resnet.total is resnet.modules[0] and resnet.total.depth == 0
    assert resnet["stages.0.1.conv1.norm"].depth == 5
    assert resnet.input_shape == (1, 3, 64, 64)


@pytest.mark.parametrize("what", ["params", "frozen_params", "macs", "bias_adds", "activation_bytes"])
def test_a_module_costs_what_its_children_and_its_own_work_cost(resnet, what):
    children = sum(getattr(m, what) for m in resnet.modules if m.depth == 1)
    assert getattr(resnet.total, what) == children
    leaves = [m for m in resnet.modules if not any(o.name.startswith(f"{m.name}.") for o in resnet.modules)]
    assert getattr(resnet.total, what) == sum(getattr(m, what) for m in leaves if m.depth)


def test_a_row(resnet):
    conv = resnet["stem.conv"]
    assert conv.output_shape == (1, 64, 32, 32)
    assert conv.params == conv.frozen_params == 49 * 3 * 64
    assert conv.macs == 49 * 3 * 64 * 32 * 32 and conv.bias_adds == 0
    assert conv.activation_bytes == 4 * 64 * 32 * 32
    assert conv.receptive_field == ReceptiveField(Span(7, 2, 3), Span(7, 2, 3))
    assert resnet["stages"].frozen_params == 0
    assert resnet["classifier"].receptive_field.is_global


def test_weight_bytes_are_those_of_parameters_and_buffers(resnet):
    state = MODELS["resnet18"].factory(num_classes=10).state_dict()
    assert resnet.weight_bytes == sum(t.nbytes for t in state.values())


def test_what_a_module_does_by_itself_is_its_own():
    attention = summary("vit_tiny_patch16")
    length, channels, blocks = 197, 192, 12
    products = 2 * length**2 * channels  # of queries with keys, of shares with values
    inside = sum(m.macs for m in attention.modules if m.kind in ("Linear", "Conv2d"))
    assert attention.total.macs - inside == blocks * products


def test_a_list_of_modules_is_not_called_but_has_its_sums():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList([nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)])

        def forward(self, images):
            for conv in self.convs:
                images = conv(images)
            return images

    found = summary(Two(), input_shape=(1, 8, 8))
    assert found["convs"].output_shape is None and found["convs"].receptive_field is None
    assert found["convs"].macs == found.total.macs == 9 * (36 + 16)


def test_the_defaults_are_what_the_network_is_for():
    assert summary("dense").input_shape == (1, 1, 28, 28)
    assert summary("dense", in_channels=3).input_shape == (1, 3, 28, 28)
    assert summary("timm:vit_tiny_patch16_224").input_shape == (1, 3, 224, 224)
    assert summary("torchvision:resnet18").input_shape == (1, 3, 224, 224)
    assert summary("torchvision:inception_v3").input_shape == (1, 3, 299, 299)


def test_numbers_of_half_the_size_take_half_the_memory():
    half, whole = (
        summary(nn.Conv2d(3, 4, 3).to(kind), input_shape=(3, 9, 9)) for kind in (torch.bfloat16, torch.float32)
    )
    assert 2 * half.total.activation_bytes == whole.total.activation_bytes
    assert 2 * half.weight_bytes == whole.weight_bytes


def test_refusals(resnet):
    with pytest.raises(ValueError, match=r"input_shape is \(8, 8\); it must be \(N, C, H, W\), each 1 or more"):
        summary(nn.Identity(), input_shape=(8, 8))
    with pytest.raises(ValueError, match=r"input_shape is \(3, 0, 8\); it must be"):
        summary(nn.Identity(), input_shape=(3, 0, 8))
    with pytest.raises(ValueError, match="num_classes is -1; it must be 0"):
        summary("resnet18", num_classes=-1)
    with pytest.raises(UnknownNameError, match="no model is called 'resnet', did you mean 'resnet"):
        summary("resnet")
    with pytest.raises(KeyError, match=r"no\.such"):
        resnet["no.such"]
    with pytest.raises(TypeError, match="model is 18; it must be a network or the name of one"):
        summary(18)
    with pytest.raises(TypeError, match="freeze, num_classes: only for a network called by name"):
        summary(nn.Conv2d(3, 1, 1), freeze="*", num_classes=2)
    with pytest.raises(TypeError, match=r"input_shape is \(3, 9, 9\) and size_px 8; pass one of them"):
        summary("resnet18", input_shape=(3, 9, 9), size_px=8)


@pytest.mark.parametrize(
    ("error", "reason"), [(TypeError("of\nlines"), "of"), (KeyError(), "KeyError"), (ZeroDivisionError("x"), "x")]
)
def test_whatever_a_strangers_network_raises_is_one_line(error, reason):
    class Stranger(nn.Module):
        def forward(self, images):
            raise error

    with pytest.raises(ValueError, match=f"^images of 3x8x8 don't pass through the network: {reason}$"):
        summary(Stranger(), input_shape=(3, 8, 8))


class HoldsATensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.ones(3, 1, 1)

    def forward(self, images):
        return images - self.mean


class Decides(nn.Module):
    def forward(self, images):
        return images if images.sum() > 0 else -images


@pytest.mark.parametrize("stranger", [HoldsATensor, Decides])
def test_a_network_that_must_compute_is_told_of_as_that(stranger):
    with pytest.raises(
        ValueError, match=r"the network can't be followed without computing: .*; make tensors that"
    ):
        summary(stranger(), input_shape=(3, 8, 8))


def test_a_recurrent_layer_can_be_followed():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(64, 16, batch_first=True)

        def forward(self, images):
            return self.lstm(images[:, 0])[0]

    assert summary(Recurrent(), input_shape=(1, 64, 64)).total.params == 4 * 16 * (64 + 16 + 2)


def test_a_network_is_summarised_for_an_image_as_it_takes():
    assert summary(nn.Conv2d(5, 1, 1)).input_shape == (1, 5, 224, 224)
