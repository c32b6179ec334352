"""Learning rates and stages by step."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import LR_SCALE, Schedule, Stage, count_plateaus, pixels_between, stage_of


def schedule(total_steps=100, steps_per_epoch=10.0, **settings):
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], LR_SCALE: 0.25}]
    optimiser = torch.optim.SGD(groups, lr=7.0)
    recipe = Recipe(**{"lr": 0.8, "epochs": 10, **settings})
    return Schedule(optimiser, recipe, total_steps, steps_per_epoch), optimiser


def rates(made, steps=range(100), losses=()):
    return [made.set_lr(step, losses) for step in steps]


def test_a_warm_up_rises_evenly_to_the_highest_rate():
    for kind in ("cosine", "linear", "constant", "plateau"):
        made, _ = schedule(schedule=kind, warmup_epochs=2)
        rising = rates(made, range(20))
        assert rising == pytest.approx([0.8 * (step + 1) / 20 for step in range(20)]), kind


def test_a_cosine_falls_to_nothing():
    made, _ = schedule(schedule="cosine")
    found = rates(made)
    assert found == pytest.approx([0.4 * (1 + math.cos(math.pi * step / 101)) for step in range(100)])
    warm, _ = schedule(schedule="cosine", warmup_epochs=2)
    expected = [0.4 * (1 + math.cos(math.pi * (step - 19) / 81)) for step in range(19, 100)]
    assert rates(warm)[19:] == pytest.approx(expected)
    assert 0 < found[-1] < 1e-3


def test_a_line_falls_to_nothing():
    made, _ = schedule(schedule="linear")
    assert rates(made) == pytest.approx([0.8 * (1 - step / 101) for step in range(100)])
    warm, _ = schedule(schedule="linear", warmup_epochs=2)
    assert rates(warm)[19:] == pytest.approx([0.8 * (1 - (step - 19) / 81) for step in range(19, 100)])


def test_a_constant_stays():
    made, _ = schedule(schedule="constant")
    assert set(rates(made)) == {0.8}


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "plateau"])
def test_rates_depend_on_the_step_alone_and_groups_have_their_share(kind):
    settings = {"schedule": kind, "warmup_epochs": 1.5}
    made, optimiser = schedule(**settings)
    forwards = rates(made)
    fresh, _ = schedule(**settings)
    backwards = rates(fresh, range(99, -1, -1))
    assert backwards[::-1] == forwards
    made.set_lr(42, ())
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([forwards[42], forwards[42] / 4])


def test_a_warm_up_as_long_as_the_run_leaves_the_last_step():
    made, _ = schedule(total_steps=3, steps_per_epoch=10.0, warmup_epochs=9)
    assert rates(made, range(3)) == pytest.approx([0.4, 0.8, 0.8 * 0.5 * (1 + math.cos(math.pi / 2))])


HISTORIES = {
    "falls": [5.0, 4.0, 3.0, 2.0, 1.0, 0.5],
    "stays": [1.0] * 8,
    "rises": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    "stays, falls, stays": [3.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    "falls too little to count": [1.0, 0.99999, 0.99998, 0.99997, 0.99996, 0.99995],
    "nothing yet": [],
}


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("history", HISTORIES)
def test_a_plateau_divides_as_torch_does(history, patience):
    settings = {"schedule": "plateau", "plateau_patience": patience, "plateau_factor": 10}
    made, _ = schedule(**settings)
    theirs = torch.optim.SGD([torch.zeros(1)], lr=0.8)
    rule = ReduceLROnPlateau(theirs, factor=0.1, patience=patience)
    losses = HISTORIES[history]
    for count in range(len(losses) + 1):
        assert made.set_lr(10 * count, losses[:count]) == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6)
        if count < len(losses):
            rule.step(losses[count])
    assert schedule(**settings)[0].set_lr(77, losses) == made.set_lr(77, losses), "it has no state"


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_plateaus_are_counted_as_torch_counts_them_whatever_the_losses(patience):
    losses = [1 + 1e-4 * float(x) for x in torch.randn(200, generator=torch.Generator().manual_seed(patience))]
    losses[20:25], losses[60] = [0.5, 0.5, 0.49999, 0.4, math.nan], math.inf
    rule = ReduceLROnPlateau(
        probe := torch.optim.SGD([torch.zeros(1)], lr=1.0), factor=0.5, patience=patience, eps=0
    )
    for count, loss in enumerate(losses, 1):
        rule.step(loss)
        assert count_plateaus(losses[:count], patience) == round(-math.log2(probe.param_groups[0]["lr"]))


def test_one_stage_is_full_size_and_strength():
    assert {stage_of(Recipe(), step, 10, 224) for step in range(10)} == {Stage(0, 224, 1.0)}


def test_stages_rise_evenly_over_parts_of_equal_length():
    recipe = Recipe(stages=4, first_size=0.5, first_strength=0.25)
    stages = [stage_of(recipe, step, 100, 224) for step in range(100)]
    assert [stages[step].number for step in (0, 24, 25, 49, 50, 74, 75, 99)] == [0, 0, 1, 1, 2, 2, 3, 3]
    found = [stages[step] for step in (0, 25, 50, 75)]
    assert [stage.size_px for stage in found] == [112, 152, 184, 224]  # 149.3 and 186.7, in multiples of 8
    assert [stage.strength for stage in found] == pytest.approx([0.25, 0.5, 0.75, 1])


def test_small_sides_and_odd_ones():
    recipe = Recipe(stages=2, first_size=0.1)
    assert [stage_of(recipe, step, 2, 20).size_px for step in range(2)] == [8, 20]
    assert stage_of(recipe, 0, 2, 6).size_px == 6
    for first_size, size_px in ((1, 28), (0.99, 30)):  # neither is enlarged to the next multiple of 8
        recipe = Recipe(stages=3, first_size=first_size)
        assert {stage_of(recipe, step, 3, size_px).size_px for step in range(3)} == {size_px}
    fewer_steps = [stage_of(Recipe(stages=4, first_size=0.5), step, 2, 64).number for step in range(2)]
    assert fewer_steps == [0, 2]


@pytest.mark.parametrize(("stages", "total_steps"), [(1, 7), (3, 7), (3, 30), (4, 2)])
def test_the_pixels_of_steps_are_those_of_their_stages(stages, total_steps):
    recipe = Recipe(stages=stages, first_size=0.5 if stages > 1 else 1)
    pixels = [stage_of(recipe, step, total_steps, 32).size_px ** 2 for step in range(total_steps)]
    for first in range(total_steps + 1):
        for last in range(first, total_steps + 1):
            assert pixels_between(recipe, first, last, total_steps, 32) == sum(pixels[first:last])
