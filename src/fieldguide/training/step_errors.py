"""Errors of a step that come of a user's choice: too little memory, single photos, no compiler."""

import contextlib
from collections.abc import Iterator

import torch

from fieldguide.errors import TrainingError, first_line
from fieldguide.training.recipe import Recipe

_NO_MEMORY = "can't allocate memory"  # torch's allocator on a CPU has no error of its own
_NO_SPREAD = "Expected more than 1 value per channel"  # nor have its norms
_DIFFERS = ("does not have a deterministic implementation", "it uses CuBLAS")  # nor its operations on a GPU


@contextlib.contextmanager
def explained(recipe: Recipe, batch_size: int, before_again: str = "") -> Iterator[None]:
    """Say in words why a network can't learn from a batch.

    Args:
        recipe: that it learns by.
        batch_size: photos of the batch; fewer than the recipe's, where there are no more.
        before_again: what is to be done before other settings, as ``Keeper.how_to_start_again`` says it.

    Raises:
        TrainingError: instead of an error that other settings mend.
    """
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        message = _in_words(error, recipe, batch_size)
        if message is None:
            raise
        reason, advice = message
        raise TrainingError(f"{reason}; {before_again}{advice}") from error


def _in_words(error: Exception, recipe: Recipe, batch_size: int) -> tuple[str, str] | None:
    """Return what is wrong, and what to do; None of an error that is not known."""
    text, parts = str(error), recipe.accumulate
    batch = (
        f"a batch of {batch_size} photo{'s' if batch_size > 1 else ''}{f' in {parts} parts' if parts > 1 else ''}"
    )
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or _NO_MEMORY in text:
        in_more = f"--set accumulate={2 * parts}, which learns from it in more parts, "
        ways = f"{in_more if batch_size % (2 * parts) == 0 else ''}a smaller --batch-size, or a smaller --size"
        return f"{batch} takes more memory than there is", f"try {ways}"
    if _NO_SPREAD in text:
        more = "a larger --batch-size" if batch_size == recipe.batch_size else "more photos"
        reason = f"{batch} leaves a norm with one value a channel, which has no spread"
        return reason, f"learn from two photos or more at once: take {more}, or a smaller accumulate"
    if recipe.deterministic and any(words in text for words in _DIFFERS):
        return (
            f"this network has an operation that differs each time ({first_line(error)})",
            "leave deterministic out",
        )
    if recipe.compile and _is_of_compiler(error):
        cause = first_line(getattr(error, "inner_exception", error))
        return f"the network can't be compiled ({cause})", "leave compile=true out, or mend that first"
    return None


def _is_of_compiler(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    return isinstance(error, TorchDynamoException)
