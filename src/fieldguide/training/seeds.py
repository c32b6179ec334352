"""Seeds: all chance of a run comes from its own seed and from what is drawn, so none of it needs to be saved."""

import random
from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a seed is drawn for: seeds of one purpose are independent of another's."""

    ORDER = 1
    GEOMETRY = 2
    PLACE = 3
    STEP = 4
    INITIALISATION = 5
    COLOURS = 6
    VIEW = 7


def seed_of(seed: int, purpose: Purpose, *numbers: int) -> int:
    """Return 32 bits that depend on all of the numbers.

    Args:
        seed: of the run.
        purpose: what the seed is for.
        numbers: such as the step and a photo's place in its batch.
    """
    return int(np.random.SeedSequence((seed, purpose, *numbers)).generate_state(1)[0])


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Return a source of random numbers that depend on all of the arguments, as of :func:`seed_of`."""
    return np.random.default_rng([seed, purpose, *numbers])


def seed_everything(seed: int, step: int, part: int = 0) -> None:
    """Seed every generator that a step may draw from: torch's, numpy's and Python's.

    Args:
        seed: of the run.
        step: from 0.
        part: of the step, where its batch is computed in several parts or by several processes.
    """
    value = seed_of(seed, Purpose.STEP, step, part)
    torch.default_generator.manual_seed(value)  # torch.manual_seed takes ten times as long, to note who called it
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(value)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(value)
    np.random.seed(value)
    random.seed(value)
