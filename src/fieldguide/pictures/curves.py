"""The curves of a training run as a picture."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_BLUE, _ORANGE, _GREY = "#1f6fb4", "#d9621e", "#777777"


def draw_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw losses, accuracy and the learning rate by epoch.

    Args:
        history: a mapping an epoch: ``epoch``, ``train_loss``, ``lr``, ``validation_loss``, ``validation_top1``,
            the latter two None where there were no validation photos.

    Returns:
        A PNG, 1200 x 400 px.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    judged = [row for row in history if row["validation_loss"] is not None]
    figure = Figure(figsize=(12, 4), dpi=100, layout="constrained")
    losses, accuracy, rate = figure.subplots(1, 3)
    style = {"marker": "o" if len(epochs) < 30 else "", "ms": 3}
    losses.plot(epochs, [row["train_loss"] for row in history], color=_BLUE, **style, label="learnt from")
    if judged:
        at = [row["epoch"] for row in judged]
        losses.plot(at, [r["validation_loss"] for r in judged], color=_ORANGE, **style, label="validation")
        top1 = [100 * row["validation_top1"] for row in judged]
        accuracy.plot(at, top1, color=_ORANGE, **style)
        best = max(range(len(top1)), key=top1.__getitem__)
        accuracy.plot(at[best], top1[best], "o", color=_ORANGE, label=f"best: {top1[best]:.1f} %")
        accuracy.legend(frameon=False, loc="lower right")
    else:
        accuracy.text(0.5, 0.5, "no validation photos", ha="center", va="center", color=_GREY,
                      transform=accuracy.transAxes)  # fmt: skip
    losses.legend(frameon=False)
    rate.plot(epochs, [row["lr"] for row in history], color=_GREY, **style)
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


def draw_range_test(
    rates: Sequence[float], losses: Sequence[float], suggested: float, path: Path, *, suffix: str | None = None
) -> None:
    """Draw losses by learning rate, on a logarithmic scale, with the suggested one marked.

    Args:
        rates: rising.
        losses: of each.
        suggested: rate to mark.
        path: where to write it.
        suffix: ``.png``, ``.svg`` or ``.pdf``; by default the path's own.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates, losses, color=_BLUE)
    axes.axvline(suggested, color=_ORANGE, lw=1)
    axes.annotate(f" {suggested:g}", (suggested, max(losses)), color=_ORANGE, va="top")
    axes.set_title("loss, smoothed, by learning rate", loc="left", fontsize=11)
    axes.set_xlabel("learning rate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.savefig(path, format=(suffix or path.suffix).lower().removeprefix("."))
