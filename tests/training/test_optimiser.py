"""The groups of an optimiser: what decays, and at which share of the rate each layer learns."""

import pytest
import torch
from torch import nn

from fieldguide.layers import ScaleShift
from fieldguide.models import MODELS, create_model
from fieldguide.training.network import Classifier
from fieldguide.training.optimiser import layer_depths, make_optimiser, parameter_groups
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import LR_SCALE, Schedule


@pytest.fixture
def network():
    """A stem, two stages of two blocks and of one, a classifier."""
    body = nn.Module()
    body.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    body.stages = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))),
        nn.Sequential(nn.Conv2d(4, 8, 3)),
    )
    return Classifier(body, nn.Linear(8, 2))


def shares(network, layer_decay):
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = parameter_groups(network, weight_decay=0.1, layer_decay=layer_decay)
    return {names[id(p)]: (group["weight_decay"], group[LR_SCALE]) for group in groups for p in group["params"]}


def test_vectors_do_not_decay(network):
    found = shares(network, 1.0)
    assert found.keys() == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        assert found[name] == (0.1 if parameter.ndim > 1 else 0.0, 1.0), name
    assert len(parameter_groups(network, weight_decay=0.1, layer_decay=1.0)) == 2


def test_what_does_not_learn_makes_no_layer_slower(network):
    before = shares(network, 0.5)
    network.teacher = nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 2)).requires_grad_(False)
    assert shares(network, 0.5) == before


def test_each_layer_learns_slower_than_the_next(network):
    found = {name: scale for name, (_, scale) in shares(network, 0.5).items()}
    assert found["classifier.weight"] == found["classifier.bias"] == 1
    assert found["body.stages.1.0.weight"] == 0.5
    deepest = {name: scale for name, scale in found.items() if name.startswith("body.stages.0.1")}
    powers = sorted(set(found.values()), reverse=True)
    assert powers == [0.5**n for n in range(len(powers))]
    assert max(deepest.values()) == 0.25
    assert found["body.stem.0.weight"] <= found["body.stages.0.0.weight"] / 2


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_single_numbers_of_fixup_learn_at_a_tenth_of_their_layer_s_rate(layer_decay):
    network = create_model("resnet20", fixup=True)
    classifier, network.classifier = network.classifier, nn.Identity()
    network = Classifier(network, classifier)
    found, depths = shares(network, layer_decay), layer_depths(network)
    assert found.keys() == {name for name, _ in network.named_parameters()}
    last, scalars = depths["classifier.weight"], 0
    for name, parameter in network.named_parameters():
        of_layer = layer_decay ** (last - depths[name])
        scalars += parameter.numel() == 1
        assert found[name][1] == pytest.approx(of_layer / 10 if parameter.numel() == 1 else of_layer), name
    assert scalars > 40


def test_the_rate_of_fixup_s_numbers_stays_a_tenth_as_it_falls():
    network = nn.Sequential(ScaleShift(), nn.Linear(1, 1))
    recipe = Recipe(lr=0.3, warmup_epochs=0)
    optimiser = make_optimiser(network, recipe)
    schedule = Schedule(optimiser, recipe, total_steps=10, steps_per_epoch=5)
    for step in (0, 5, 9):
        highest = schedule.set_lr(step, [])
        rates = sorted({group["lr"] for group in optimiser.param_groups})
        assert rates == pytest.approx([highest / 10, highest])


def test_frozen_parameters_are_left_out(network):
    network.body.requires_grad_(False)
    assert set(shares(network, 0.5)) == {"classifier.weight", "classifier.bias"}
    assert set(shares(network, 0.5).values()) == {(0.1, 1.0), (0.0, 1.0)}


@pytest.mark.parametrize(
    ("kind", "expected"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_recipe_s_optimiser_is_made(network, kind, expected):
    of_sgd = {"momentum": 0.8} if kind == "sgd" else {}
    made = make_optimiser(network, Recipe(optimiser=kind, lr=0.3, weight_decay=0.05, **of_sgd))
    assert type(made) is expected
    assert [group["weight_decay"] for group in made.param_groups] == [0.05, 0.0]
    assert {group["lr"] for group in made.param_groups} == {0.3}
    if kind == "sgd":
        assert {(group["momentum"], group["nesterov"]) for group in made.param_groups} == {(0.8, True)}


def test_without_momentum_there_is_nothing_to_look_ahead_along(network):
    made = make_optimiser(network, Recipe(optimiser="sgd", momentum=0, nesterov=True))
    assert made.param_groups[0]["nesterov"] is False


def test_a_block_is_one_layer_whatever_it_consists_of():
    with torch.device("meta"):
        network = create_model("efficientnet_lite0", num_classes=3)
    classifier, network.classifier = network.classifier, nn.Identity()
    depths = layer_depths(Classifier(network, classifier))
    of_stem, of_last_conv = (
        {depth for name, depth in depths.items() if name.startswith(f"body.{part}.")}
        for part in ("stem", "last_conv")
    )
    assert (of_stem, of_last_conv, depths["classifier.weight"]) == ({0}, {17}, 18)  # 16 blocks between
    assert sorted(set(depths.values())) == list(range(19))


@pytest.mark.parametrize("name", MODELS.names())
def test_depths_rise_from_stem_to_classifier_in_every_network(name):
    with torch.device("meta"):
        network = create_model(name, num_classes=3)
    classifier, network.classifier = network.classifier, nn.Identity()
    depths = layer_depths(Classifier(network, classifier))
    order = list(depths)
    assert order == [f"body.{n}" for n, _ in network.named_parameters()] + ["classifier.weight", "classifier.bias"]
    last = depths.pop("classifier.weight")
    assert depths.pop("classifier.bias") == last
    assert not depths or last > max(depths.values()), "the classifier is deepest"
    of_stem = [depth for name, depth in depths.items() if name.startswith("body.stem")]
    of_stages = [[d for n, d in depths.items() if n.startswith(f"body.stages.{i}.")] for i in range(99)]
    stages = [stage for stage in of_stages if stage]
    for earlier, later in zip([of_stem, *stages], stages, strict=False):
        assert not earlier or max(earlier) < min(later), "a stage lies deeper than all before it"
    for number, stage in enumerate(stages):
        assert stage == sorted(stage), f"and in stage {number} each block deeper than the one before"
    assert set(depths.values()) <= set(range(last))
