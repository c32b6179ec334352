"""What a guide says of how it was made, read from its guide.json with care: it may be old, or a stranger's."""

import datetime
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fieldguide.errors import GuideError
from fieldguide.guide import Guide
from fieldguide.words import set_name

T = TypeVar("T")
D = TypeVar("D")
_KINDS = {"fine-tuning": "by fine-tuning"}
_SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class ToldCase:
    """One instance of a problem in the photos: their names, and what was seen."""

    photos: tuple[str, ...]
    evidence: str


@dataclass(frozen=True)
class ToldFinding:
    """A problem that training found in its photos, with the first of its cases."""

    severity: str
    summary: str
    meaning: str
    num_cases: int
    cases: tuple[ToldCase, ...]


@dataclass(frozen=True)
class Told:
    """How a guide was made; what it does not say is empty, or None.

    Args:
        data_name: of its photos: a path, or the name of a set.
        fingerprint: of them.
        is_split: whether the set said itself what was held out.
        num_train: photos that it was trained on.
        num_judged_by: photos among them, by which a network was only judged while it learnt.
        num_excluded: photos that a list left out.
        num_held_out: photos that it was judged by.
        num_skipped: photos that could not be used.
        num_learnt: photos that it learnt from, by class.
        command: that makes it again.
        created: when.
        version: of fieldguide.
        versions: of what that stands on.
        kind: of training.
        seconds: that a network was trained for.
        verdict: on a network: whether it under- or overfits.
        is_frozen: whether only its head was trained on these photos.
        findings: the worst first.
    """

    data_name: str
    fingerprint: str
    is_split: bool
    num_train: int | None
    num_judged_by: int
    num_excluded: int
    num_held_out: int | None
    num_skipped: int
    num_learnt: Mapping[str, int]
    command: str
    created: str
    version: str
    versions: Mapping[str, str]
    kind: str
    seconds: float | None
    verdict: str
    is_frozen: bool
    findings: tuple[ToldFinding, ...]

    @property
    def title(self) -> str:
        """What to call its photos: their name, without the folders around it."""
        return set_name(self.data_name)


def told_by(guide: Guide) -> Told:
    """Read what a guide says.

    Raises:
        GuideError: it says something that no guide says.
    """
    facts = guide.facts
    data, training = _read(facts, "data", dict, {}), _read(facts, "training", dict, {})
    photos = _read(data, "photos", dict, {})
    counts = {str(name): _read(_read(photos, name, dict, {}), "train", int, 0) for name in photos}
    is_frozen = not training or _read(training, "comparison", dict, {}).get("kept") == "frozen"
    return Told(
        data_name=_read(data, "name", str, ""),
        fingerprint=_read(data, "fingerprint", str, ""),
        is_split=data.get("split") == "given",
        num_train=_read(data, "num_train", int, None),
        num_judged_by=0 if is_frozen else _read(training, "num_validation", int, 0),
        num_excluded=_read(data, "excluded", int, 0),
        num_held_out=_read(data, "num_held_out", int, None),
        num_skipped=len(_read(data, "skipped", list, [])),
        num_learnt=counts,
        command=_command(_read(facts, "command", str, "")),
        created=_date(_read(facts, "created", str, "")),
        version=_read(facts, "fieldguide_version", str, ""),
        versions={str(k): str(v) for k, v in _read(facts, "versions", dict, {}).items()},
        kind="on frozen features" if is_frozen else _KINDS.get(_read(training, "kind", str, ""), "from nothing"),
        seconds=_read(training, "seconds", (int, float), None),
        verdict=_read(training, "verdict", str, ""),
        is_frozen=is_frozen,
        findings=tuple(_finding(item) for item in _read(facts, "doctor", list, [])),
    )


def _finding(item: object) -> ToldFinding:
    """Read one of ``doctor``'s findings."""
    facts = _read({"doctor": item}, "doctor", dict, {})
    severity = _read(facts, "severity", str, "low")
    return ToldFinding(
        severity if severity in _SEVERITIES else "low",
        _read(facts, "summary", str, ""),
        _read(facts, "meaning", str, ""),
        _read(facts, "num_cases", int, 0),
        tuple(_case(case) for case in _read(facts, "cases", list, [])),
    )


def _case(item: object) -> ToldCase:
    facts = _read({"cases": item}, "cases", dict, {})
    return ToldCase(tuple(map(str, _read(facts, "photos", list, []))), _read(facts, "evidence", str, ""))


def _read(facts: Mapping[Any, Any], key: Any, kind: type[T] | tuple[type[T], ...], default: D) -> T | D:  # noqa: ANN401
    """Return one of the facts; the default where it is not told."""
    value = facts.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise GuideError(
            f"this guide is damaged: {key} in guide.json is {str(value)[:40]!r}, which no guide says; train it "
            "anew"
        )
    return value


def _command(text: str) -> str:
    """Return a command, where it is one of fieldguide's and nothing more: people paste it."""
    try:
        words = shlex.split(text)
    except ValueError:
        return ""
    return text if words[:2] == ["fieldguide", "train"] and shlex.join(words) == text else ""


def _date(text: str) -> str:
    """Return a time as people write it; as it stands, where it is none."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return time.astimezone(datetime.UTC).strftime("%d %B %Y, %H:%M UTC")
    except (ValueError, OverflowError):
        return text
