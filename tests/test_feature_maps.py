"""Feature maps: node names, one map a stride, parity with timm's own, and what stays as it was."""

import threading

import pytest
import torch
from torch import nn

import fieldguide as fg
from fieldguide.errors import UnknownNameError
from fieldguide.feature_maps import list_nodes, pick_nodes
from fieldguide.introspection import create_on_meta, input_shape_of
from fieldguide.libraries import import_timm
from fieldguide.models import MODELS

# One map a stride


def test_efficientnet_lite0_gives_the_maps_that_are_known_of_it():  # FACTS: features only
    maps = fg.features("efficientnet_lite0").eval()
    shapes = [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    assert [(i.name, i.channels, i.reduction) for i in maps.info] == [
        ("stages.0", 16, 2), ("stages.1", 24, 4), ("stages.2", 40, 8), ("stages.4", 112, 16), ("stages.6", 320, 32)
    ]  # fmt: skip
    assert [i.shape for i in maps.info] == shapes
    with torch.no_grad():
        found = maps(torch.rand(2, 3, 224, 224))
    assert [(name, tuple(m.shape)) for name, m in found.items()] == [
        (i.name, (2, *shape)) for i, shape in zip(maps.info, shapes, strict=True)
    ]


PICKED = {
    "resnet18": [("stem", 2), ("stages.0", 4), ("stages.1", 8), ("stages.2", 16), ("stages.3", 32)],
    "timm:resnet18": [("act1", 2), ("layer1", 4), ("layer2", 8), ("layer3", 16), ("layer4", 32)],
    "timm:hrnet_w18_small": [
        ("act1", 2), ("incre_modules.0", 4), ("downsamp_modules.0.2", 8), ("downsamp_modules.1.2", 16),
        ("final_layer", 32),
    ],  # timm's own names are not called here
    "timm:levit_128s": [("stages.0", 16), ("stages.1", 32), ("stages.2", 64)],
    "torchvision:resnet18": [("relu", 2), ("layer1", 4), ("layer2", 8), ("layer3", 16), ("layer4", 32)],
    "torchvision:mobilenet_v2": [
        ("features.1", 2), ("features.3", 4), ("features.6", 8), ("features.13", 16), ("features.18", 32)
    ],
    "torchvision:alexnet": [("features.1", 4), ("features.4", 8), ("features.11", 16), ("features.12", 32)],
    "torchvision:swin_t": [("features.1", 4), ("features.3", 8), ("features.5", 16), ("permute", 32)],
    "torchvision:vit_b_32": [("encoder", 32)],
    "torchvision:maxvit_t": [("stem", 2), ("blocks.0", 4), ("blocks.1", 8), ("blocks.2", 16), ("blocks.3", 32)],
    "torchvision:regnet_y_400mf": [
        ("stem", 2), *((f"trunk_output.block{n}", 2 ** (n + 1)) for n in (1, 2, 3, 4))
    ],  # it can't be built on the meta device
}  # fmt: skip


@pytest.mark.parametrize("name", PICKED)
def test_picks_the_last_node_at_each_stride(name):
    network = create_on_meta(name)
    nodes = list_nodes(network, input_shape_of(network, name))
    assert [(node.name, node.reduction) for node in pick_nodes(network, nodes)] == PICKED[name]


def least_of_each_family() -> list[str]:
    least = {}
    for entry in sorted(MODELS.entries(), key=lambda entry: -entry.facts.macs):
        least[entry.factory.__module__] = entry.name
    return sorted(least.values())


@pytest.mark.parametrize("name", least_of_each_family())
def test_every_family_has_maps_that_shrink(name):
    network = create_on_meta(name)
    shape = input_shape_of(network, name)
    picked = pick_nodes(network, list_nodes(network, shape))
    reductions = [node.reduction for node in picked]
    assert reductions == sorted(set(reductions))
    if shape[-1] > 64:
        assert reductions[-1] >= 16
        assert all(node.name.split(".")[0] in ("stem", "stages") for node in picked)


@pytest.mark.parametrize(
    "name", ["resnet10t", "tf_efficientnet_lite0", "mobilenetv3_small_050", "swin_tiny_patch4_window7_224"]
)
def test_maps_of_timms_models_are_those_that_timm_gives(name):
    torch.manual_seed(0)
    timm = import_timm()
    theirs = timm.create_model(name, features_only=True).eval()
    network = timm.create_model(name).eval()
    # The same tensors in the same order, under names that timm changes; the classifier's are the last.
    theirs.load_state_dict(dict(zip(theirs.state_dict(), network.state_dict().values(), strict=False)))
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        expected, found = theirs(images), list(fg.features(network)(images).values())
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        other = other if one.shape == other.shape else other.permute(0, 2, 3, 1)  # noqa: PLW2901
        torch.testing.assert_close(other, one)


def test_tokens_become_a_map_without_the_class_token():
    network = fg.create_model("timm:vit_tiny_patch16_224").eval()
    maps = fg.features(network)
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        found = maps(images)
        tokens = fg.features(network, "blocks.11")(images)["blocks.11"]
    assert list(found) == ["blocks.11"] and found["blocks.11"].shape == (1, 192, 14, 14)
    assert tokens.shape == (1, 197, 192), "with nodes, outputs are as the modules give them"
    assert torch.equal(found["blocks.11"][0, :, 3, 5], tokens[0, 1 + 3 * 14 + 5])


def test_other_sizes_go_through_as_well():
    maps = fg.features("resnet18").eval()
    assert [tuple(m.shape[2:]) for m in maps(torch.rand(1, 3, 64, 96)).values()] == [
        (32, 48), (16, 24), (8, 12), (4, 6), (2, 3)
    ]  # fmt: skip


# Nodes by name


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return fg.create_model("resnet18").eval()


def test_nodes_are_named_exactly_or_by_wildcards(resnet):
    images = torch.rand(1, 3, 64, 64)
    assert list(fg.features(resnet, ["stages.3", "stem"])(images)) == ["stem", "stages.3"], "in their own order"
    assert list(fg.features(resnet, ["stages.?"])(images)) == [f"stages.{n}" for n in range(4)]
    assert list(fg.features(resnet, ["*.conv2"])(images)) == [
        f"stages.{s}.{b}.conv2" for s in range(4) for b in range(2)
    ]
    every = fg.features(resnet, ["stages.*"])(images)
    assert {"stages.0", "stages.3.1.conv2.conv"} <= set(every) and "stem" not in every


def test_what_comes_out_is_what_the_modules_give(resnet):
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = fg.features(resnet, ["stem", "stages.1"])(images)
        stem = resnet.stem(images)
        assert torch.equal(found["stem"], stem)
        assert torch.equal(found["stages.1"], resnet.stages[1](resnet.stages[0](resnet.stem_pool(stem))))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (["stage.0"], r"ResNet: no node is called 'stage.0', did you mean 'stages.0'"),
        (["stem", "zzz"], r"ResNet: no node is called 'zzz'; `fieldguide nodes NAME` lists them"),
        (["stage.*"], r"ResNet: no node matches 'stage\.\*', did you mean 'stages'"),
        (["layer?"], r"ResNet: no node matches 'layer\?'; `fieldguide nodes"),
    ],
)
def test_an_unknown_node_is_told_with_the_near_ones(resnet, nodes, message):
    with pytest.raises(UnknownNameError, match=message):
        fg.features(resnet, nodes)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="nodes is empty"):
        fg.features("resnet18", [])
    with pytest.raises(TypeError, match="model is 18; it must be a network or the name of one"):
        fg.features(18)
    with pytest.raises(ValueError, match=r"resnet18: images of 3x8x8 .*8x8 px.*; pass .*input_shape"):
        fg.features("resnet18", input_shape=(3, 8, 8))
    with pytest.raises(ValueError, match="Sequential has no maps that shrink as the image does; name its nodes"):
        fg.features(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), input_shape=(3, 4, 4))
    with pytest.raises(UnknownNameError, match="no model is called 'resnet181'"):
        fg.features("resnet181")


# Odd modules


class Odd(nn.Module):
    """Gives a tuple, calls one module twice, works in place, and trains an extra head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.extra = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.twice(self.twice(self.act(self.conv(images))))
        tokens = maps.flatten(2).transpose(1, 2)
        tokens, _ = self.attention(tokens, tokens, tokens)
        return self.extra(tokens.mean(1)) if self.training else tokens.mean(1)


def test_the_first_tensor_of_a_tuple_the_last_of_several_calls_and_what_is_overwritten():
    odd, images = Odd().eval(), torch.randn(2, 3, 16, 16)
    nodes = {node.name: node for node in list_nodes(odd, (3, 16, 16))}
    assert nodes["conv"].is_overwritten and not nodes["act"].is_overwritten
    assert nodes["twice"].calls == 2 and "extra" not in nodes
    with torch.no_grad():
        found = fg.features(odd, ["conv", "twice", "attention"])(images)
        conv = odd.conv(images)
        twice = odd.twice(odd.twice(conv.relu()))
        assert torch.equal(found["conv"], conv) and (conv < 0).any(), "as it was before ReLU worked on it in place"
        assert torch.equal(found["twice"], twice)
        assert found["attention"].shape == (2, 64, 8)


def test_a_node_that_only_evaluation_calls_is_missed_in_training():
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.a(images) if self.training else self.b(self.a(images))

    maps = fg.features(Fickle(), ["b"])
    with pytest.raises(ValueError, match=r"did not call 'b' for images of \(1, 3, 8, 8\) in training mode"):
        maps(torch.rand(1, 3, 8, 8))
    assert maps.eval()(torch.rand(1, 3, 8, 8))["b"].shape == (1, 4, 8, 8)


# What stays as it was


def test_the_network_is_left_as_it_was():
    network = fg.create_model("resnet18").train()
    network.stages[0].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    maps = fg.features(network, ["stages.0"])
    assert network.training and not network.stages[0].training, "each module's mode"
    maps.eval()(torch.rand(1, 3, 32, 32))
    assert not any(module._forward_hooks for module in network.modules()), "no hook stays"
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(ValueError, match="8x8 px"):
        maps(torch.rand(1, 3, 8, 8))
    assert not any(module._forward_hooks for module in network.modules()), "after an error neither"


def test_a_network_of_other_numbers_has_its_nodes_too():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).to(torch.bfloat16)
    assert [node.name for node in list_nodes(network, (3, 16, 16))] == ["0", "1"]


def test_nothing_is_computed_to_find_nodes(monkeypatch):
    network = fg.create_model("resnet18")
    devices = set()
    inner = type(network).forward
    monkeypatch.setattr(type(network), "forward", lambda self, x: devices.add(x.device.type) or inner(self, x))
    fg.features(network)
    assert devices == {"meta"}


def test_no_more_of_the_network_runs_than_is_needed(resnet):
    maps, ran = fg.features(resnet, ["stages.0"]), []
    handles = [resnet.stages[n].register_forward_hook(lambda *_, n=n: ran.append(n)) for n in range(4)]
    maps(torch.rand(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    assert ran == [0]


def test_gradients_flow_to_the_images_and_the_weights():
    network = fg.create_model("resnet18")
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    maps = fg.features(network, ["stages.1"])
    maps(images)["stages.1"].square().mean().backward()
    assert images.grad.abs().sum() > 0 and network.stem.conv.weight.grad.abs().sum() > 0
    assert network.stages[3][0].conv1.conv.weight.grad is None
    assert set(dict(maps.named_parameters())) == {f"network.{name}" for name, _ in network.named_parameters()}


def test_threads_do_not_disturb_each_other(resnet):
    maps = fg.features(resnet, ["stem", "stages.0"])
    images = [torch.rand(1, 3, 64, 64) for _ in range(4)]
    with torch.no_grad():
        expected = [maps(one)["stages.0"] for one in images]
    faults = []

    def work(number: int) -> None:
        with torch.no_grad():
            for _ in range(10):
                if not torch.equal(maps(images[number])["stages.0"], expected[number]):
                    faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_models_with_other_channels_need_no_telling():
    maps = fg.features(fg.create_model("resnet18", in_channels=1, small_input=True).eval())
    assert [(i.channels, i.reduction) for i in maps.info] == [(64, 1), (128, 2), (256, 4), (512, 8)]
    assert maps(torch.rand(1, 1, 32, 32))["stages.3"].shape == (1, 512, 4, 4)
