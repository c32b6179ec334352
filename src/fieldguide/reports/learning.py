"""How the guide learnt: epoch by epoch, or by the number of photos."""

import csv
import io
from typing import Any

import numpy as np

from fieldguide.guide import Guide
from fieldguide.head.learning_curve import learning_curve
from fieldguide.pages.charts import Line, line_chart
from fieldguide.progress import Progress, silent
from fieldguide.reports.evidence import Evidence
from fieldguide.reports.told import Told

_FEWEST_A_CLASS = 16  # photos, for a curve that says anything
_OF_AN_EPOCH = ("epoch", "train_loss", "validation_loss", "validation_top1")
_MOST, _MOST_EPOCHS = 1e9, 5000  # of a number, which leaves nan and infinity out, and of rows
_WORTH_WHILE = 0.5  # right answers in a hundred
_LEARNT, _ASKED = "var(--leaf)", "var(--miss)"


def learning(guide: Guide, told: Told, evidence: Evidence, on_progress: Progress = silent) -> dict[str, Any]:
    """Return charts of how it learnt, and a sentence on what more photos would bring, as far as they are known."""
    charts: list[dict[str, Any]] = []
    sentence = ""
    if evidence.learns_by_head:
        found = _by_photos(guide, evidence, on_progress)
        if found is not None:
            charts, sentence = [found[0]], found[1]
    charts += _by_epochs(guide)
    return {"charts": charts, "sentence": sentence, "verdict": told.verdict}


def _by_photos(guide: Guide, evidence: Evidence, on_progress: Progress) -> tuple[dict[str, Any], str] | None:
    known, num_classes = evidence.known, len(guide.class_names)
    if np.bincount(known.labels, minlength=num_classes).min() < _FEWEST_A_CLASS:
        return None
    curve = learning_curve(known.features, known.labels, num_classes, on_progress=on_progress)
    measured = [(float(count), top1) for count, top1 in zip(curve.num_photos, curve.top1, strict=True)]
    expected = [(float(count), curve.expected(count)) for count in (len(known), 2 * len(known))]
    chart = line_chart(
        [
            Line("tried: learnt from some of the photos, asked about others", measured, _LEARNT),
            Line(
                "expected from all of them, and from twice as many",
                [measured[-1], *expected],
                _LEARNT,
                is_dashed=True,
            ),
        ],
        title="right answers, by the photos learnt from",
        x_label="photos learnt from",
        is_log=True,
        is_share=True,
    )
    gain = 100 * (expected[1][1] - expected[0][1])
    if gain >= _WORTH_WHILE:
        return chart, f"Twice as many photos are likely to bring {gain:.1f} more right answers in a hundred."
    return chart, "More photos of the same kind are likely to bring little: with twice as many, hardly any answer."


def _by_epochs(guide: Guide) -> list[dict[str, Any]]:
    """Return the charts of a network's history."""
    epochs = _read_history(guide.records.get("history.csv", b""))
    if len(epochs) < 2:  # a dot is no curve
        return []
    learnt, others, right = (
        [(epoch["epoch"], epoch[key]) for epoch in epochs if key in epoch]
        for key in ("train_loss", "validation_loss", "validation_top1")
    )
    losses = [Line("photos learnt from", learnt, _LEARNT)]
    losses += [Line("others", others, _ASKED)] if others else []
    charts = [line_chart(losses, title="loss, by epoch", x_label="epoch")]
    if right:
        lines = [Line("of photos set apart", right, _ASKED)]
        charts.append(line_chart(lines, title="right answers, by epoch", x_label="epoch", is_share=True))
    return charts


def _read_history(content: bytes) -> list[dict[str, float]]:
    """Return the numbers of each epoch; none of a head alone, or of what a stranger has written instead."""
    epochs = []
    try:
        for row in csv.DictReader(io.StringIO(content.decode("utf-8", "replace"))):
            numbers = {key: float(row[key]) for key in _OF_AN_EPOCH if row.get(key)}
            if {"epoch", "train_loss"} <= numbers.keys() and all(abs(n) < _MOST for n in numbers.values()):
                epochs.append(numbers)
    except (ValueError, csv.Error):
        return []
    return epochs[-_MOST_EPOCHS:]
