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
             "a photo that was learnt from makes the accuracy look better than it is (identical files are left "
             "out of it); leave the training copy out", EXCLUDE),
        Kind("two labels", "high", "the same picture under two labels",
             "one label is wrong, or the picture shows both; keep the copy whose label fits, or none", LOOK),
        Kind("alike classes", "high", "classes that can't be told apart",
             "photos of the one are taken for the other; join them, or check what tells them apart", KEEP),
        Kind("wrong label", "medium", "labels that other photos contradict",
             "a label may be wrong, or its photo rare; look at each, and move it or leave it out", LOOK),
        Kind("damaged", "medium", "files that can't be used",
             "what can't be read is skipped; mend or remove it", EXCLUDE),
        Kind("copies", "medium", "identical files",
             "a copy counts twice and teaches nothing new; keep one of each", EXCLUDE),
        Kind("near-copies", "medium", "nearly the same picture",
             "resized, recompressed, cropped or mirrored, it teaches little new; keep one of each", EXCLUDE),
        Kind("blank", "medium", "pictures with nothing on them",
             "nothing can be learnt from a picture without contrast; leave it out", EXCLUDE),
        Kind("few photos", "medium", "too few photos to learn from",
             "more photos would make the guide clearly better; see how many are worth taking", KEEP),
        Kind("few held out", "medium", "too few photos to judge by",
             "the guide may be good, but how good can't be told well; hold out more", KEEP),
        Kind("uneven classes", "medium", "classes of very different sizes",
             "a rare class is missed more often; add photos, or train with --balanced", KEEP),
        Kind("more photos", "low", "more photos would help",
             "the more photos, the better it still gets; see how many bring how much", KEEP),
        Kind("outlier", "low", "photos unlike all others",
             "perhaps of something else; look whether it belongs here", LOOK),
        Kind("blurred", "low", "blurred photos",
             "little can be seen (in focus, sharpness is 0.2 or more); look whether it is worth keeping", LOOK),
        Kind("dark", "low", "very dark photos",
             "little can be seen (black has 0 % brightness, white 100 %); look whether it is worth keeping", LOOK),
        Kind("bright", "low", "very bright photos",
             "little can be seen (black has 0 % brightness, white 100 %); look whether it is worth keeping", LOOK),
        Kind("tiny", "low", "tiny pictures",
             "enlarging it for the network blurs it; look for a larger one", LOOK),
        Kind("long", "low", "very long or tall pictures",
             "cropping to a square cuts most of it off; try --fit pad", LOOK),
        Kind("extension", "low", "names that end like another format",
             "read by what it holds, whatever its name; other programs may stumble", LOOK),
        Kind("rotated", "low", "photos turned by their EXIF",
             "turned upright here; other programs may show it lying", LOOK),
        Kind("colours", "low", "photos of other colour modes than the rest",
             "converted here; look whether it belongs here", LOOK),
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
        action: what is suggested here, where that is not what the kind suggests.
    """

    photos: tuple[int, ...]
    evidence: str
    weight: float = 0.0
    keeps_first: bool = False
    action: str = ""

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
    """Return ``1 blurred photo``, ``3 blurred photos`` or the like, of ``what`` with the word ``photo`` in it."""
    return f"{count} {what if count == 1 else what.replace('photo', 'photos', 1)}"


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f} %"


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
