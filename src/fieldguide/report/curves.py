"""The curves of a training run as a picture."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

_BLUE, _ORANGE, _GREY = "#1f6fb4", "#d9621e", "#777777"


def draw_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw losses, accuracy and the learning rate by epoch.

    Args:
        history: a mapping an epoch, with ``epoch``, ``train_loss``, ``lr`` and, where there were validation photos,
            ``validation_loss`` and ``validation_top1``; else these are None.

    Returns:
        A PNG, 1200 x 400 px.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    judged = [row for row in history if row["validation_loss"] is not None]
    figure = Figure(figsize=(12, 4), dpi=100, layout="constrained")
    losses, accuracy, rate = figure.subplots(1, 3)
    marker = "o" if len(epochs) < 30 else ""
    losses.plot(
        epochs, [row["train_loss"] for row in history], color=_BLUE, marker=marker, ms=3, label="learnt from"
    )
    if judged:
        at = [row["epoch"] for row in judged]
        losses.plot(
            at, [r["validation_loss"] for r in judged], color=_ORANGE, marker=marker, ms=3, label="validation"
        )
        top1 = [100 * row["validation_top1"] for row in judged]
        accuracy.plot(at, top1, color=_ORANGE, marker=marker, ms=3)
        best = max(range(len(top1)), key=top1.__getitem__)
        accuracy.annotate(f"{top1[best]:.1f} %", (at[best], top1[best]), textcoords="offset points", xytext=(0, -14),
                          ha="center", color=_ORANGE)  # fmt: skip
    else:
        accuracy.text(0.5, 0.5, "no validation photos", ha="center", va="center", color=_GREY,
                      transform=accuracy.transAxes)  # fmt: skip
    losses.legend(frameon=False)
    rate.plot(epochs, [row["lr"] for row in history], color=_GREY, marker=marker, ms=3)
    titles = ("loss", "validation photos right, %", "learning rate at the end of the epoch")
    for axes, title in zip((losses, accuracy, rate), titles, strict=True):
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.xaxis.get_major_locator().set_params(integer=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
