"""Errors of a step that come of a user's choice: too little memory, single photos, no compiler."""

import contextlib
from collections.abc import Iterator

import torch

from fieldguide.errors import TrainingError, first_line
from fieldguide.training.recipe import Recipe

_NO_MEMORY = "can't allocate memory"  # torch's allocator on a CPU has no error of its own
_NO_SPREAD = "Expected more than 1 value per channel"  # nor have its norms


@contextlib.contextmanager
def explained(recipe: Recipe) -> Iterator[None]:
    """Say in words why a network can't learn from a batch.

    Raises:
        TrainingError: instead of an error that the recipe can mend.
    """
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        message = _in_words(error, recipe)
        if message is None:
            raise
        raise TrainingError(message) from error


def _in_words(error: Exception, recipe: Recipe) -> str | None:
    parts = "" if recipe.accumulate == 1 else f" in {recipe.accumulate} parts"
    batch = f"a batch of {recipe.batch_size} photos{parts}"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or _NO_MEMORY in str(error):
        return (
            f"{batch} takes more memory than there is; try --set accumulate={2 * recipe.accumulate}, which learns "
            "from it in more parts, a smaller batch_size, or a smaller --size"
        )
    if _NO_SPREAD in str(error):
        return (
            f"{batch} leaves a norm with one value a channel, which has no spread; learn from two photos or more "
            "at once: set a larger batch_size, or a smaller accumulate"
        )
    if recipe.compile and _is_of_compiler(error):
        return f"the network can't be compiled ({first_line(error)}); leave compile=true out, or mend that first"
    return None


def _is_of_compiler(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)
