"""What the doctor finds: a problem, where it is, the evidence, and what might be done about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fieldguide.data.exclusions import EXCLUDE, KEEP, LOOK

Severity = Literal["high", "medium", "low"]
_ORDER: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Args:
        name: as the fix list has it.
        severity: high where answers or the accuracy can't be trusted, medium where photos are wasted, else low.
        title: a heading.
        meaning: what it does to a guide, and what to do, in a sentence.
        action: what is suggested for a photo that has it: exclude, look or keep.
    """

    name: str
    severity: Severity
    title: str
    meaning: str
    action: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("leak", "high", "the same picture on both sides of the split",
             "what was learnt and is then asked about flatters the accuracy (of identical files it is left out); "
             "leave the training copy out", EXCLUDE),
        Kind("two labels", "high", "the same picture under two labels",
             "one of them is wrong; keep the right one", EXCLUDE),
        Kind("alike classes", "high", "classes that can't be told apart",
             "photos of the one are taken for the other; join them, or check what tells them apart", KEEP),
        Kind("wrong label", "medium", "labels that other photos contradict",
             "some are wrong, others are of rare photos; look at each, and move it or leave it out", LOOK),
        Kind("damaged", "medium", "files that can't be used",
             "they are skipped; mend or remove them", EXCLUDE),
        Kind("copies", "medium", "identical files",
             "they count twice and teach nothing; keep one of each", EXCLUDE),
        Kind("near-copies", "medium", "nearly the same picture",
             "resized, recompressed, cropped or mirrored; keep one of each", EXCLUDE),
        Kind("blank", "medium", "pictures with nothing on them",
             "there is nothing to learn; leave them out", EXCLUDE),
        Kind("few photos", "medium", "too few photos",
             "see how many more are worth taking", KEEP),
        Kind("uneven classes", "medium", "classes of very different sizes",
             "the rare ones are missed more often; add photos, or train with --balanced", KEEP),
        Kind("outlier", "low", "photos unlike all others",
             "perhaps of something else; look at them", LOOK),
        Kind("blurred", "low", "blurred photos", "little can be seen; look at them", LOOK),
        Kind("dark", "low", "very dark photos", "little can be seen; look at them", LOOK),
        Kind("bright", "low", "very bright photos", "little can be seen; look at them", LOOK),
        Kind("tiny", "low", "tiny pictures", "they are enlarged, and blurred by it; look for larger ones", LOOK),
        Kind("long", "low", "very long or tall pictures",
             "cropping to a square cuts most of them off; try --fit pad", LOOK),
        Kind("extension", "low", "names that end like another format",
             "they are read by what they hold; other programs may not", LOOK),
        Kind("rotated", "low", "photos turned by their EXIF",
             "they are turned upright here; other programs may not", LOOK),
        Kind("colours", "low", "photos of other colour modes than the rest",
             "they are converted; look whether they belong here", LOOK),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One instance of a problem.

    Args:
        photos: indices into the set; empty where the problem is no photo's. Of a group of copies the first is the
            one to keep, and the suggestion is for the others.
        evidence: what was seen, in a few words.
        weight: by which cases are ordered, the largest first.
        keeps_first: whether the suggestion spares the first photo.
    """

    photos: tuple[int, ...]
    evidence: str
    weight: float = 0.0
    keeps_first: bool = False

    @property
    def suspects(self) -> tuple[int, ...]:
        """The photos that the suggestion is for."""
        return self.photos[1:] if self.keeps_first else self.photos


@dataclass(frozen=True)
class Finding:
    """All cases of a kind.

    Args:
        kind: of the problem.
        cases: the worst first.
        summary: how much of it there is, in a line.
    """

    kind: Kind
    cases: tuple[Case, ...]
    summary: str

    @property
    def num_photos(self) -> int:
        """How many photos the suggestion is for."""
        return len({photo for case in self.cases for photo in case.suspects})


def found(name: str, cases: Sequence[Case], summary: str) -> Iterator[Finding]:
    """Yield a finding of that kind, its cases in order; nothing where there is no case."""
    if cases:
        ordered = sorted(cases, key=lambda case: (-case.weight, case.photos))
        yield Finding(KINDS[name], tuple(ordered), summary)


def of_photos(count: int, what: str) -> str:
    """Return ``3 photos blurred`` or the like."""
    return f"{count} {'photo' if count == 1 else 'photos'} {what}"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings in the order of their severity, and then of the photos concerned."""
    return sorted(findings, key=lambda finding: (_ORDER[finding.kind.severity], -finding.num_photos))


def to_dict(finding: Finding, photo_names: Sequence[str], *, at_most: int | None = None) -> dict[str, Any]:
    """Return a finding as JSON holds it, with at most so many of its cases, and of each one's photos."""
    return {
        "kind": finding.kind.name,
        "severity": finding.kind.severity,
        "summary": finding.summary,
        "meaning": finding.kind.meaning,
        "num_cases": len(finding.cases),
        "cases": [
            {"photos": [photo_names[index] for index in case.photos[:at_most]], "evidence": case.evidence}
            for case in finding.cases[:at_most]
        ],
    }
