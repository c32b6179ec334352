"""Settings of a recipe that lie in the network: which networks have them, and which refuse them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.errors import RecipeError
from fieldguide.training.network import build_network
from fieldguide.training.network_settings import refuse_lacking, regularisation
from fieldguide.training.plan import Plan
from fieldguide.training.recipe import Recipe


@pytest.fixture(scope="module")
def digits():
    return fg.open_images("digits")


def test_the_recipe_s_regularisation_goes_to_networks_that_have_it():
    recipe = Recipe(dropout=0.4, drop_path_rate=0.2)
    assert regularisation("convnext_tiny", recipe)["drop_path_rate"] == 0.2
    assert regularisation("lenet", recipe) == {}
    assert regularisation("timm:resnet10t", recipe) == {"drop_rate": 0.4, "drop_path_rate": 0.2}
    assert regularisation("timm:vgg11", recipe) == {"drop_rate": 0.4}
    assert regularisation("torchvision:resnet18", recipe) == {}
    assert regularisation("torchvision:mobilenet_v2", recipe) == {"dropout": 0.4}
    assert regularisation("torchvision:convnext_tiny", recipe) == {"stochastic_depth_prob": 0.2}
    assert regularisation("mobilenet_v2", Recipe()) == {}, "of itself it stays as it is"
    assert regularisation("mobilenet_v2", replace(recipe, dropout=0.0))["dropout"] == 0
    network = build_network(Plan("mobilenet_v2", Preprocess(size_px=32), {"width": 0.25}), 3, Recipe(dropout=0.4))
    assert 0.4 in {module.p for module in network.modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("name", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_dropout_reaches_the_networks_of_others(name):
    made = Plan(name, Preprocess(size_px=64), {"in_channels": 3})
    network, images = build_network(made, 2, Recipe(dropout=0.9)).train(), torch.randn(2, 3, 64, 64)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    with torch.no_grad():
        first, second = network.body(images), network.body(images)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("lenet", {"dropout": 0.4}, "dropout is 0.4, but lenet has no dropout; leave it out"),
        ("torchvision:resnet18", {"dropout": "0.4"}, "dropout is 0.4, but torchvision:resnet18 has no dropout"),
        (
            "torchvision:mobilenet_v2",
            {"drop_path_rate": 0.1},
            "drop_path_rate is 0.1, but torchvision:mobilenet_v2 has no stochastic depth; leave it out",
        ),
        ("timm:vgg11", {"drop_path_rate": 0.1}, "drop_path_rate is 0.1, but timm:vgg11 has no stochastic depth"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_regularisation_that_is_asked_for_is_not_dropped_in_silence(digits, colours, name, settings, message):
    with pytest.raises(RecipeError, match=message):
        fg.train_network(digits, model=name, settings=settings)
    with pytest.raises(RecipeError, match=message):
        fg.pretrain(digits, model=name, settings=settings)
    with pytest.raises(RecipeError, match=message):
        fg.find_lr(digits, model=name, settings=settings)
    refuse_lacking(name, dict.fromkeys(settings, 0))
    refuse_lacking(name, dict.fromkeys(settings, -1))


def test_an_argument_goes_before_the_recipe_s_file_and_not_beside_a_setting(digits):
    given = Plan("mobilenet_v2", Preprocess(size_px=32), {"width": 0.25, "dropout": 0.3})
    network = build_network(given, 3, Recipe(dropout=0.4))
    assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {0.3}
    message = (
        "dropout is 0.4 as a setting, and dropout is 0.3 as an argument of mobilenet_v2; leave one of them out"
    )
    with pytest.raises(RecipeError, match=message):
        fg.train_network(digits, model="mobilenet_v2", settings={"dropout": 0.4}, arguments={"dropout": 0.3})


def test_branches_begin_at_zero_where_there_are_any(digits):
    network = build_network(Plan("resnet20", Preprocess(size_px=32), {}), 3, Recipe(zero_init=True))
    scales = [block.conv2.norm.weight for stage in network.body.stages for block in stage]
    assert len(scales) == 9 and not any(scale.any() for scale in scales)
    message = "zero_init is true, but lenet has no residual branch that ends in a norm; leave it out"
    with pytest.raises(RecipeError, match=message):
        fg.train_network(digits, model="lenet", settings={"zero_init": True})
    refuse_lacking("lenet", {"zero_init": False})
    message = "zero_init is true, but is known for our own networks, not for timm:resnet18; leave it out"
    with pytest.raises(RecipeError, match=message):
        refuse_lacking("timm:resnet18", {"zero_init": True})
    message = "zero_init is true, but a pretrained network has learnt its branches; leave it out"
    with pytest.raises(RecipeError, match=message):
        fg.finetune(digits, settings={"zero_init": True})


def test_fine_tuning_refuses_it_too_of_whatever_the_folder_holds(digits, tmp_path):
    few = digits.select(np.arange(len(digits)) < 100)
    fg.train_network(few, model="mlp", output=tmp_path / "x", settings={"epochs": 1, "precision": "float32"})
    with pytest.raises(
        RecipeError, match=r"drop_path_rate is 0\.3, but mlp has no stochastic depth; leave it out"
    ):
        fg.finetune(digits, backbone=str(tmp_path / "x"), settings={"drop_path_rate": 0.3})
    with pytest.raises(RecipeError, match="zero_init is true, but mlp has no residual branch that ends in a norm"):
        fg.finetune(digits, backbone=str(tmp_path / "x"), settings={"zero_init": True})
