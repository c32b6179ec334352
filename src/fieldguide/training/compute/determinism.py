"""The same bits each time: what torch and cuBLAS are told."""

import contextlib
import os
from collections.abc import Iterator

import torch

from fieldguide.training.recipe import Recipe


def prepare_determinism(recipe: Recipe) -> None:
    """Have cuBLAS compute the same bits each time, where the recipe asks; it listens before its first product."""
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Have torch refuse operations that give other bits each time, where that is asked for."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
