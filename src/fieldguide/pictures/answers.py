"""A picture of one answer: logits, what softmax makes of them, and the label that was to be met."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_BLUE, _ORANGE = "#1f6fb4", "#d9621e"
_LONGEST = 40  # letters of a name


def draw_answer(
    class_names: Sequence[str], logits: npt.NDArray[np.float32], probs: npt.NDArray[np.float32], label: int | None
) -> bytes:
    """Draw bars of each class, the most probable on top: logits (K,), probabilities (K,), and the one-hot label.

    Args:
        class_names: (K,); of many classes the twenty most probable are shown.
        logits: (K,).
        probs: (K,).
        label: the true class; None where it is not known.

    Returns:
        A PNG, 1200 px wide.
    """
    from matplotlib.figure import Figure

    from fieldguide.pictures.letters import any_script

    order = np.argsort(-probs, kind="stable")[:20]
    names, rows = [_shortened(class_names[k]) for k in order], np.arange(len(order))[::-1]
    columns = [("logits", logits[order]), ("probabilities: softmax of the logits", probs[order])]
    if label is not None:
        columns.append(("the label, one-hot", (order == label).astype(np.float32)))
    buffer = io.BytesIO()
    with any_script():
        figure = Figure(figsize=(12, 1.2 + 0.32 * len(order)), dpi=100, layout="constrained")
        for axes, (title, values) in zip(figure.subplots(1, len(columns), sharey=True), columns, strict=True):
            colours = [_ORANGE if k == label else _BLUE for k in order]
            axes.barh(rows, values, color=colours)
            axes.set_title(title, loc="left", fontsize=11)
            axes.set_yticks(rows, names, parse_math=False)
            axes.spines[["top", "right"]].set_visible(False)
            for row, value in zip(rows, values, strict=True):
                side = "left" if value >= 0 else "right"
                axes.text(value, row, f" {value:.3g}", va="center", ha=side, fontsize=8)
            axes.margins(x=0.18)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
