"""Seeds of all chance in a run."""

import random

import numpy as np
import torch

from fieldguide.training.seeds import Purpose, generator, seed_everything, seed_of


def test_seeds_depend_on_all_of_their_numbers():
    order, view = Purpose.ORDER, Purpose.VIEW
    # trailing zeros add nothing, but seeds of one purpose have as many numbers each
    numbers = [(0, order), (1, order), (0, view), (0, order, 1), (0, order, 1, 2), (0, order, 2, 1)]
    seeds = {seed_of(*of) for of in numbers}
    assert len(seeds) == 6 and all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(5, view, 6) == seed_of(5, view, 6)


def test_generators_depend_on_all_of_their_numbers():
    numbers = [(0, Purpose.ORDER, 1), (1, Purpose.ORDER, 1), (0, Purpose.COLOURS, 1), (0, Purpose.ORDER, 2)]
    assert len({generator(*of).random() for of in numbers}) == 4
    assert generator(0, Purpose.ORDER, 1).random() == generator(0, Purpose.ORDER, 1).random()


def test_every_generator_is_seeded():
    def draw():
        return torch.rand(()).item(), np.random.rand(), random.random()

    seed_everything(1, 2, 3)
    first = draw()
    seed_everything(1, 2, 3)
    assert draw() == first
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        seed_everything(*other)
        assert not set(draw()) & set(first)
