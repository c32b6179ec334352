"""What a training run saw, epoch by epoch, and what that means in a sentence."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

from fieldguide.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch.

    Args:
        epoch: from 1; the last may be a part of one.
        step: steps done in all.
        size_px: side of the pictures learnt from.
        lr: learning rate of the last step, at its highest group.
        train_loss: mean over the epoch's photos, as they were learnt from: augmented and mixed.
        validation_loss: mean log loss on the validation photos, natural logarithm; None without any.
        validation_top1: share of them answered rightly.
        photos_per_s: learnt from, without the time that validation took.
        seconds: of learning and validation since the run began, over all its resumptions.
        seconds_left: to the last step, by the pace of this epoch and the pixels of the steps to come.
    """

    epoch: int
    step: int
    size_px: int
    lr: float
    train_loss: float
    validation_loss: float | None
    validation_top1: float | None
    photos_per_s: float
    seconds: float
    seconds_left: float


OnEpoch = Callable[[Epoch], None]


def ignore_epoch(epoch: Epoch) -> None:
    """Do nothing."""


def to_csv(history: Sequence[Epoch]) -> bytes:
    """Return the epochs as CSV, an undefined value as an empty cell."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, [f.name for f in fields(Epoch)])
    writer.writeheader()
    for epoch in history:
        values = asdict(epoch)
        writer.writerow(
            {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in values.items()}
        )
    return buffer.getvalue().encode()


_GAP = 0.05  # between accuracies, from which on a network has learnt photos by heart
_POOR = 0.9  # accuracy on its own photos, below which it has not learnt them


def verdict(
    train_top1: float | None,
    held_out_top1: float | None,
    history: Sequence[Epoch],
    *,
    recipe: Recipe,
    from_nothing: bool = True,
    subject: str = "It",
) -> str:
    """Say in a sentence whether a network under- or overfits, and what to try; nothing where that can't be known.

    Args:
        train_top1: on photos that it learnt from, as they are.
        held_out_top1: on photos that it did not learn from.
        history: of the run.
        recipe: of the run.
        from_nothing: whether the network began so.
        subject: of the sentence.
    """
    if train_top1 is None or held_out_top1 is None or not history:
        return ""
    on_both = f"{train_top1:.1%} of its own photos right and {held_out_top1:.1%} of others"
    if train_top1 - held_out_top1 > _GAP:
        stronger = f"--recipe strong{'' if recipe.flip else ' --set flip=false'}, "
        stronger = "" if recipe.mixup or recipe.cutmix else stronger
        return f"{subject} overfits ({on_both}): try more photos, " + (
            f"{stronger}a smaller network, or --finetune." if from_nothing else "or fewer epochs."
        )
    if train_top1 < _POOR:
        falls = len(history) > 1 and history[-1].train_loss < 0.98 * history[-2].train_loss
        more = "more epochs, for the loss still falls" if falls else "a larger network or another learning rate"
        weaker = ", or less augmentation" if _augments(recipe) else ""
        return f"{subject} underfits ({on_both}): try {more}{weaker}."
    return f"{subject} fits ({on_both})."


def _augments(recipe: Recipe) -> bool:
    """Whether photos are learnt from otherwise than as they are, or mirrored."""
    changes = ("shift", "rand_augment", "jitter", "grey", "erasing", "mixup", "cutmix")
    return recipe.min_scale < 1 or any(getattr(recipe, name) for name in changes)
