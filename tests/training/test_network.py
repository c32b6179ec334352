"""The network that is trained, what is refused before its first step, and its way into a guide."""

import numpy as np
import pytest
import torch

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.errors import DataError, RecipeError
from fieldguide.training.network import build_network, to_backbone, to_head
from fieldguide.training.plan import Plan, plan_network
from fieldguide.training.recipe import Recipe


def test_what_the_factory_refuses_is_told():
    odd = Plan("mobilenet_v2", Preprocess(), {"width": -1.0})
    with pytest.raises(DataError, match=r"mobilenet_v2 can't be built with \{'width': -1\.0\}: width is -1"):
        build_network(odd, 2, Recipe())


def test_what_a_guide_could_not_hold_is_refused_before_the_first_step():
    with pytest.raises(
        DataError,
        match=r"googlenet can't be trained with auxiliary=True, in_channels=1, .*: a guide has no place for its "
        r"aux1\..*; leave out what is of training alone",
    ):
        fg.train_network("digits", model="googlenet", arguments={"auxiliary": True})


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
        plan_network(name, fg.open_images(colours), size_px=size_px, fit=None, arguments={}),
        2,
        Recipe(stages=4, first_strength=0.5),
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
