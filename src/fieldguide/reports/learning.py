"""How the guide learnt: epoch by epoch, or by the number of photos."""

import csv
import io
from typing import Any

from fieldguide.guide import Guide
from fieldguide.head.learning_curve import learning_curve
from fieldguide.pages.charts import Line, line_chart
from fieldguide.reports.evidence import Evidence

_FEWEST_A_CLASS = 16  # photos, for a curve that says anything
_WORTH_WHILE = 0.5  # right answers in a hundred
_LEARNT, _ASKED = "var(--leaf)", "var(--miss)"


def learning(guide: Guide, evidence: Evidence) -> dict[str, Any]:
    """Return charts of how it learnt, and a sentence on what more photos would bring, as far as they are known."""
    charts: list[dict[str, Any]] = []
    sentence = ""
    if evidence.learns_by_head:
        found = _by_photos(guide, evidence)
        if found is not None:
            charts, sentence = [found[0]], found[1]
    charts += _by_epochs(guide)
    training = guide.facts.get("training", {})
    return {"charts": charts, "sentence": sentence, "verdict": training.get("verdict", "")}


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
    history = guide.records.get("history.csv", b"").decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(history)))
    if not rows or "train_loss" not in rows[0]:
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
