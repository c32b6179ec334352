"""The learning rate range test."""

import numpy as np
import pytest
import torch

import fieldguide as fg
from fieldguide.errors import RecipeError, TrainingError
from fieldguide.training.find_lr import suggest

DIGITS = {"model": "multilayer_cnn", "settings": {"precision": "float32"}}


def some_digits(count=200):
    images = fg.open_images("digits")
    return images.select(np.arange(len(images)) < count)


def test_rates_rise_until_the_loss_explodes_and_a_tenth_of_the_best_is_suggested():
    told = []
    test = fg.find_lr(some_digits(), **DIGITS, steps=60, on_progress=lambda *values: told.append(values))
    assert len(test.rates) == len(test.losses) and all(map(np.isfinite, test.losses))
    ratios = np.diff(np.log(test.rates))
    assert test.rates[0] == pytest.approx(1e-6) and ratios.min() == pytest.approx(ratios.max())
    assert test.losses[0] == pytest.approx(np.log(10), rel=0.1)
    assert test.diverged_at is not None and test.rates[-1] < test.diverged_at <= 10
    assert min(test.losses) < test.losses[0]
    assert test.suggested == suggest(test.rates, test.losses)
    assert 1e-5 < test.suggested < 0.1
    assert told[-1] == ("rates", 60, 60)


def test_it_is_the_same_each_time_and_groups_have_their_share():
    settings = {**DIGITS["settings"], "layer_decay": 0.5, "optimiser": "adamw"}
    first, second = (fg.find_lr(some_digits(), model="mlp", settings=settings, steps=12) for _ in range(2))
    assert first == second


def test_a_teacher_is_learnt_from(colours, saved_guide):
    how = {"model": "lenet", "size_px": 32, "steps": 10}
    settings = {"precision": "float32", "batch_size": 8, "flip": False}
    alone = fg.find_lr(colours, **how, settings=settings)
    taught = fg.find_lr(colours, **how, settings={**settings, "temperature": 8}, teachers=[saved_guide])
    assert taught.losses != alone.losses
    with pytest.raises(
        RecipeError, match=r"temperature is 8\.0, which is of learning from a teacher; add --teacher"
    ):
        fg.find_lr(colours, **how, settings={**settings, "temperature": 8})
    with pytest.raises(TypeError, match=r"teachers is 'a\.guide'; it must be a list of paths, even of one"):
        fg.find_lr(colours, **how, teachers="a.guide")


def test_too_few_steps_are_refused_and_so_is_a_negative_seed():
    with pytest.raises(ValueError, match="steps is 1; it must be 2 or more"):
        fg.find_lr(some_digits(), model="mlp", steps=1)
    with pytest.raises(ValueError, match="seed is -1; it must be 0 or more"):
        fg.find_lr(some_digits(), model="mlp", seed=-1)


def test_the_learning_rate_itself_is_refused():
    with pytest.raises(RecipeError, match=r"lr is 0\.1, but learning rates are what is tried here; leave it out"):
        fg.find_lr(some_digits(), model="mlp", settings={"lr": 0.1})


@pytest.mark.parametrize(
    ("losses", "suggested"), [((3.0, 2.0, 1.0, 9.0), 0.003), ((1.0, 2.0), 1e-5), ((2.0, 1.0), 1e-4)]
)
def test_a_tenth_of_the_rate_with_the_lowest_loss(losses, suggested):
    assert suggest((1e-4, 1e-3, 0.027, 0.3), losses) == pytest.approx(suggested)


def test_a_loss_that_is_no_number_at_any_rate_says_so(monkeypatch):
    from fieldguide.training.loop import Trainer

    monkeypatch.setattr(Trainer, "learn", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(TrainingError, match="the loss is no number at any rate; is a photo or a weight damaged"):
        fg.find_lr(some_digits(), **DIGITS, steps=12)
