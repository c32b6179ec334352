"""What came of training: how good the guides are, what they learnt from, and what was left out."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.cli._console import (
    SKIPPED_NAMED,
    note,
    percent,
    print_json,
    print_skipped,
    print_table,
    printable,
    terminal_width,
    wrapped,
)

if TYPE_CHECKING:
    from fieldguide.guide import Guide

_FINDINGS_TOLD, _PHOTOS_TOLD, _SKIPPED_TOLD = 3, 2, 3  # the last on a terminal: all is one screen


def print_guides(guides: "dict[Path, Guide]", seconds: float, *, as_json: bool) -> None:
    if as_json:
        records = [_as_json(guide, path, seconds) for path, guide in guides.items()]
        print_json(records if len(records) > 1 else records[0])
        return
    for path, guide in guides.items():
        _print_guide(guide, path)
    if len(guides) > 1:
        _print_seeds(guides)
    last = list(guides)[-1]
    print(f"{last} is ready after {seconds:.1f} s; try: fieldguide predict {last} PHOTO")


def print_reports(guides: "dict[Path, Guide]") -> None:
    """Say where the guides' reports are."""
    for path, guide in guides.items():
        if "report.html" in guide.records:
            note(f"report: report.html in {path}" if path.suffix == ".zip" else f"report: {path / 'report.html'}")


def _as_json(guide: "Guide", target: Path, seconds: float) -> dict[str, Any]:
    return {
        "guide": str(target),
        "seconds": round(seconds, 2),
        "class_names": list(guide.class_names),
        **guide.facts,
        "evaluation": json.loads(guide.records["metrics.json"]) if "metrics.json" in guide.records else None,
    }


def _print_seeds(guides: "dict[Path, Guide]") -> None:
    """Print the accuracy of each seed, their mean and their spread."""
    import statistics

    top1 = [guide.facts["metrics"]["top1"] for guide in guides.values() if guide.facts.get("metrics")]
    rows = [(str(path), percent((guide.facts.get("metrics") or {}).get("top1"))) for path, guide in guides.items()]
    print_table(("guide", "top-1"), rows)
    if len(top1) > 1:
        spread = statistics.stdev(top1)
        print(
            f"top-1 over {len(top1)} seeds: {percent(statistics.mean(top1))}, standard deviation {percent(spread)}"
        )


def _print_guide(guide: "Guide", target: Path) -> None:
    """Print what it learnt from, how good it is, and what was left out."""
    from fieldguide.cli._evaluations import print_evaluation, print_metrics
    from fieldguide.data import SkippedPhoto

    facts, training = guide.facts["data"], guide.facts.get("training", {})
    is_frozen = training.get("comparison", {}).get("kept") == "frozen"  # which learns from all training photos
    judging = 0 if is_frozen else training.get("num_validation", 0)
    counts = [f"{facts['num_train'] - judging} photos to learn from", f"{facts['num_held_out']} held out"]
    counts[1:1] = [f"{judging} to judge epochs by"] if judging else []
    how = "as given" if facts["split"] == "given" else "by content"
    print(f"{len(guide.class_names)} classes, {', '.join(counts)} ({how})")
    print()
    if guide.evaluation is not None:
        print_evaluation(guide.evaluation)
        if guide.evaluation.left_out:
            note(f"held-out copies of training photos, not evaluated: {guide.evaluation.left_out}")
    elif guide.facts["metrics"]:
        note(f"{target} is there already; it was evaluated when it was trained")
        print_metrics(guide.facts["metrics"])
        print()
    else:
        why = "all held-out photos are copies of training photos" if facts["num_held_out"] else "too few photos"
        note(f"{why}: the accuracy is unknown")
    if training:
        _print_outcome(guide, target)
    if report := guide.embedder.backbone.weights.report:
        note(f"weights: {report}")
    _print_findings(guide.facts.get("doctor", ()), facts["name"])
    skipped = [SkippedPhoto(photo["photo"], photo["reason"]) for photo in facts["skipped"]]
    print_skipped(skipped, at_most=SKIPPED_NAMED if terminal_width(sys.stderr) is None else _SKIPPED_TOLD)
    if facts.get("excluded"):
        note(f"photos that the list excludes, left out: {facts['excluded']}")
    learnt_without_class = training.get("num_unlabelled", 0)
    if learnt_without_class:
        note(f"photos without a class, learnt from by the teacher's answers: {learnt_without_class}")
    if facts["unlabelled"] > learnt_without_class:
        note(f"files without a class, left out: {facts['unlabelled'] - learnt_without_class}")
    if facts["unused"]:
        note(f"photos neither in train nor in the part held out, left out: {facts['unused']}")


def _print_findings(findings: Sequence[Mapping[str, Any]], data: str) -> None:
    """Name the worst of what training found in its photos; those that can't be used are named apart."""
    told = [finding for finding in findings if finding["kind"] != "damaged"][:_FINDINGS_TOLD]
    for finding in told:
        first = finding["cases"][0]
        case = ": ".join(filter(None, (", ".join(first["photos"][:_PHOTOS_TOLD]), first["evidence"])))
        line = printable(f"{finding['severity']}: {finding['summary']}, such as {case}")
        note(wrapped(line, hanging=2, width=terminal_width(sys.stderr)))
    if told:
        note(f"more, and with the evidence: fieldguide check {shlex.quote(data)}")


def _print_outcome(guide: "Guide", target: Path) -> None:
    """Say what came of a run, beside its accuracy."""
    facts: Mapping[str, Any] = guide.facts["training"]
    if comparison := facts.get("comparison"):
        frozen, finetuned = comparison["frozen"], comparison["finetuned"]
        stands = (
            "the fine-tuned network is kept" if comparison["kept"] == "fine-tuned" else "the frozen guide stands"
        )
        print(
            f"{stands}: of {comparison['num_photos']} validation photos fine-tuning has "
            f"{percent(finetuned['top1'])} right, frozen features {percent(frozen['top1'])}; "
            f"{finetuned['only_right']} only fine-tuning, {frozen['only_right']} only frozen features"
        )
    if facts.get("verdict"):
        print(facts["verdict"])
    if "curves.png" in guide.records:
        note(f"curves: {target / 'curves.png'}")
