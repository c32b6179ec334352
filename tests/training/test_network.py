"""Which form of a network suits a set of photos, and its way into a guide."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.errors import DataError, RecipeError, UnknownNameError
from fieldguide.models import MODELS, create_model
from fieldguide.training.network import (
    Plan,
    build_network,
    look_at,
    plan_network,
    refuse_lacking,
    regularisation,
    to_backbone,
    to_head,
)
from fieldguide.training.recipe import Recipe


def plan(name, images, *, size_px=None, fit=None, **arguments):
    return plan_network(name, images, size_px=size_px, fit=fit, arguments=arguments)


@pytest.fixture(scope="module")
def digits():
    return fg.open_images("digits")


def of_side(side, channels=3):
    """A set of pictures in memory."""
    pixels = np.zeros((4, side, side, channels), np.uint8)
    digits = fg.open_images("digits")
    four = digits.select(np.arange(len(digits)) < 4)
    return replace(four, pixels=pixels, read=lambda index: pixels[index])


def test_grey_pictures_get_one_channel_and_small_ones_the_form_for_small_input(digits):
    found = plan("resnet18", digits)
    assert found.arguments["in_channels"] == 1 and found.arguments["small_input"] is True
    assert (found.preprocess.channels, found.preprocess.mean, found.preprocess.std) == (1, (0.5,), (0.5,))
    assert found.preprocess.size_px <= 32
    coloured = plan("resnet18", of_side(32))
    assert coloured.preprocess.size_px == 32 and coloured.arguments == {"in_channels": 3, "small_input": True}


def test_photos_are_taken_at_the_size_that_the_network_was_designed_for(colours):
    found = plan("resnet18", fg.open_images(colours))  # of 64 x 48
    assert found.preprocess.size_px == 224 and "small_input" not in found.arguments
    assert found.preprocess.fit == "crop"
    chosen = plan("resnet18", fg.open_images(colours), size_px=96, fit="pad")
    assert (chosen.preprocess.size_px, chosen.preprocess.fit) == (96, "pad")


def test_arguments_that_are_given_are_kept(digits):
    found = plan("resnet18", digits, in_channels=3, small_input=False, size_px=64)
    assert found.arguments == {"in_channels": 3, "small_input": False} and found.preprocess.channels == 3


@pytest.mark.parametrize("name", [name for name in MODELS.names() if MODELS[name].facts.params < 30e6])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3)])
def test_every_network_takes_small_pictures_at_some_size(name, side, channels):
    found = plan(name, of_side(side, channels))
    size = found.preprocess.size_px
    assert size >= side and found.preprocess.channels == channels
    with torch.device("meta"):
        network = create_model(name, num_classes=4, **found.arguments)
        network.input_size.check(torch.zeros(1, channels, size, size))


def test_what_a_network_does_not_take_is_refused(digits):
    with pytest.raises(UnknownNameError, match=r"no model is called 'resnet19', did you mean .*'resnet18'"):
        plan("resnet19", digits)
    with pytest.raises(DataError, match="lenet takes no argument 'width'; it takes in_channels"):
        plan("lenet", digits, width=2.0)
    with pytest.raises(DataError, match="num_classes is 5, but comes from the photos; leave it out"):
        plan("lenet", digits, num_classes=5)
    with pytest.raises(
        DataError, match=r"mobilenet_v2 can't be built for pictures of \d+ px and 1 channel: .*width.*-1"
    ):
        plan("mobilenet_v2", digits, width=-1)
    with pytest.raises(
        DataError,
        match="lenet can't be built for pictures of 8 px and 1 channel: size_px is 8; it must be 32 or more",
    ):
        plan("lenet", digits, size_px=8)
    odd = Plan("mobilenet_v2", Preprocess(), {"width": -1.0})
    with pytest.raises(DataError, match=r"mobilenet_v2 can't be built with \{'width': -1\.0\}: width is -1"):
        build_network(odd, 2, Recipe())


def test_a_look_at_photos(colours, digits, image_folder):
    assert look_at(digits) == (8, True)
    assert look_at(fg.open_images(colours)) == (0, False)
    assert look_at(of_side(20)) == (20, False)
    assert look_at(replace(digits, pixels=None)) == (8, True)
    folder = image_folder({"red": 2, "blue": 2})
    for photo in folder.rglob("*.png"):
        photo.write_bytes(b"")
    assert look_at(fg.open_images(folder)) == (0, False)


def test_photos_that_are_grey_in_three_channels_are_grey(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        values = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(np.stack([values] * 3, axis=2)).save(tmp_path / name / "1.png")
    assert look_at(fg.open_images(tmp_path)) == (20, True)


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


def test_a_fit_that_is_none_is_not_laid_on_the_network(digits):
    with pytest.raises(ValueError, match="fit is 'zoom'"):
        fg.train_network(digits, model="lenet", fit="zoom")


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


def test_what_a_guide_could_not_hold_is_refused_before_the_first_step(digits):
    with pytest.raises(
        DataError,
        match=r"googlenet can't be trained with auxiliary=True, in_channels=1, .*: a guide has no place for its "
        r"aux1\..*; leave out what is of training alone",
    ):
        fg.train_network(digits, model="googlenet", arguments={"auxiliary": True})


@pytest.mark.parametrize(
    ("name", "size_px", "stage", "side"),
    [("vit_tiny_patch16", 160, 2, 104), ("lenet", 32, 1, 16), ("timm:vit_tiny_patch16_224", 224, 1, 112)],
)
def test_pictures_of_a_stage_that_a_network_can_not_take_are_refused_before_the_first_step(
    colours, name, size_px, stage, side
):
    settings = {"stages": 4, "first_size": 0.5, "epochs": 1}
    with pytest.raises(
        RecipeError,
        match=rf"stage {stage} of 4 has pictures of {side} px, which {name} can't take \(.*\); set first_size=1, "
        "or nearer to it, or choose another --size",
    ):
        fg.train_network(colours, model=name, size_px=size_px, settings=settings)
    network = build_network(
        plan(name, fg.open_images(colours), size_px=size_px), 2, Recipe(stages=4, first_strength=0.5)
    )
    assert network.training, "as it was before it was tried"


@pytest.mark.parametrize("name", ["lenet", "timm:resnet10t"])
def test_a_network_and_the_guide_made_of_it_say_the_same(name):
    torch.manual_seed(0)
    made = Plan(name, Preprocess(size_px=32, mean=(0.5,), std=(0.5,), channels=1), {"in_channels": 1})
    network = build_network(made, 3, Recipe()).eval()
    images = torch.randn(2, 1, 32, 32)
    body = to_backbone(network.body, made).build()
    head = to_head(network)
    with torch.no_grad():
        logits = body(images) @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias)
        torch.testing.assert_close(logits, network(images))
    assert network.training is False and head.weight.dtype == np.float32
