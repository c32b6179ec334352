"""How the guide learnt: epoch by epoch, or by the number of photos."""

import csv
import io
from collections.abc import Mapping
from math import isfinite
from typing import Any

from fieldguide.guide import Guide
from fieldguide.head.learning_curve import learning_curve
from fieldguide.pages.charts import Line, line_chart
from fieldguide.reports.evidence import Evidence
from fieldguide.reports.told import Told

_FEWEST_A_CLASS = 16  # photos, for a curve that says anything
_WORTH_WHILE = 0.5  # right answers in a hundred
_LEARNT, _ASKED = "var(--leaf)", "var(--miss)"


def learning(guide: Guide, told: Told, evidence: Evidence) -> dict[str, Any]:
    """Return charts of how it learnt, and a sentence on what more photos would bring, as far as they are known."""
    charts: list[dict[str, Any]] = []
    sentence = ""
    if evidence.learns_by_head:
        found = _by_photos(guide, evidence)
        if found is not None:
            charts, sentence = [found[0]], found[1]
    charts += _by_epochs(guide)
    return {"charts": charts, "sentence": sentence, "verdict": told.verdict}


def _by_photos(guide: Guide, evidence: Evidence) -> tuple[dict[str, Any], str] | None:
    known, num_classes = evidence.known, len(guide.class_names)
    counts = [int((known.labels == k).sum()) for k in range(num_classes)]
    if min(counts) < _FEWEST_A_CLASS:
        return None
    curve = learning_curve(known.features, known.labels, num_classes)
    measured = list(zip(curve.num_photos, curve.top1, strict=True))
    twice = 2 * curve.num_photos[-1]
    expected = curve.expected(twice)
    chart = line_chart(
        [
            Line("tried", measured, _LEARNT),
            Line("to be expected of twice as many", [measured[-1], (twice, expected)], _LEARNT, is_dashed=True),
        ],
        title="right answers, by the photos learnt from",
        x_label="photos learnt from",
        is_log=True,
        is_share=True,
    )
    gain = 100 * (expected - curve.top1[-1])
    if gain >= _WORTH_WHILE:
        return chart, f"Twice as many photos are likely to bring {gain:.1f} more right answers in a hundred."
    return chart, "More photos of the same kind are likely to bring little: with twice as many, hardly any answer."


def _by_epochs(guide: Guide) -> list[dict[str, Any]]:
    """Return the charts of a network's history."""
    history = guide.records.get("history.csv", b"").decode("utf-8", "replace")
    rows = [row for row in csv.DictReader(io.StringIO(history)) if _is_epoch(row)]
    if len(rows) < 2:  # a dot is no curve
        return []
    judged = [row for row in rows if row["validation_loss"]]

    def points(key: str) -> list[tuple[float, float]]:
        return [(float(row["epoch"]), float(row[key])) for row in (rows if key == "train_loss" else judged)]

    losses = [Line("photos learnt from", points("train_loss"), _LEARNT)]
    if not judged:
        return [line_chart(losses, title="loss, by epoch", x_label="epoch")]
    losses.append(Line("others", points("validation_loss"), _ASKED))
    return [
        line_chart(losses, title="loss, by epoch", x_label="epoch"),
        line_chart(
            [Line("of photos set apart", points("validation_top1"), _ASKED)],
            title="right answers, by epoch",
            x_label="epoch",
            is_share=True,
        ),
    ]


def _is_epoch(row: Mapping[str, str | None]) -> bool:
    """Whether a row of a history has the numbers of an epoch; that of a head alone has others."""
    told = [
        row.get("epoch"),
        row.get("train_loss"),
        row.get("validation_loss") or 0,
        row.get("validation_top1") or 0,
    ]
    try:
        return all(isfinite(float(number)) for number in told if number is not None) and None not in told
    except ValueError:
        return False
