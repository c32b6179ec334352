"""The same picture several times: identical files, near-copies, on both sides of a split, under two labels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.data.decode import decode
from fieldguide.data.image_set import NO_LABEL
from fieldguide.doctor.alignment import likeness, likeness_as_they_lie, rough_lays
from fieldguide.doctor.finding import Case, Finding, found
from fieldguide.doctor.look import LOOK_PX, THUMBNAIL_PX, Look, look_at, square
from fieldguide.doctor.neighbours import Neighbours
from fieldguide.evaluate.neighbours import unit_rows
from fieldguide.progress import Progress, counted, silent

SAME_PICTURE = 0.94  # correlation of two pictures laid over each other; of others it hardly exceeds 0.83
_CANDIDATE = 0.6  # cosine of the features of photos that may be copies
_AT_ALL = 0.4  # correlation of their thumbnails, as they lie
_PERHAPS = 0.8  # the same, as crops of each other
_SQUARE_PX = 48
_LEAST_PX = 32  # shorter side of pictures that are compared
_NEAR_AT_ONCE = 0.8  # cosine of the features, as they are, of photos that are worth comparing at once
_MOST_ACROSS, _MOST_LOOKED_AT = 20_000_000, 400  # products of features; photos held out

Thumbnails = npt.NDArray[np.uint8]
Groups = list[tuple[int, ...]]
Pair = tuple[int, int]


def identical_groups(digests: Sequence[bytes]) -> Groups:
    """Group photos by what they hold: the groups of two or more, in the order of their first photos.

    Args:
        digests: (N,) content digests; "" of photos that can't be used.
    """
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            by_digest[digest].append(index)
    return [tuple(members) for members in by_digest.values() if len(members) > 1]


def near_pairs(
    images: ImageSet,
    looks: Sequence[Look],
    photos: npt.NDArray[np.int64],
    neighbours: Neighbours,
    on_progress: Progress = silent,
) -> list[Pair]:
    """Find pairs of photos that show the same picture, though their files differ.

    Args:
        images: the set.
        looks: at each of its photos.
        photos: (N,) which of them the neighbours are of.
        neighbours: of these N, by their features.
        on_progress: called as pairs are compared.
    """
    thumbnails, shows_enough = _thumbnails([looks[photo] for photo in photos.tolist()])
    rows, places = np.nonzero((neighbours.similarities >= _CANDIDATE) & shows_enough[:, None])
    ends = np.stack([rows, neighbours.indices[rows, places]], axis=1)
    candidates = np.unique(np.sort(ends, axis=1), axis=0)
    alike = likeness_as_they_lie(thumbnails, candidates)
    candidates = candidates[alike >= _AT_ALL]
    lays = rough_lays(thumbnails, candidates)
    likely = [
        (a, b, lay) for (a, b), lay in zip(candidates.tolist(), lays, strict=True) if lay.likeness >= _PERHAPS
    ]
    pictures = _Pictures(images, photos)
    compared = counted(likely, len(likely), "copies", on_progress)
    same = [(a, b) for a, b, lay in compared if likeness(pictures.of(a), pictures.of(b), lay) >= SAME_PICTURE]
    return [(int(photos[a]), int(photos[b])) for a, b in same]


def pairs_across(
    images: ImageSet,
    photos: npt.NDArray[np.int64],
    features: npt.NDArray[np.floating],
    is_held_out: npt.NDArray[np.bool_],
) -> list[Pair]:
    """Find photos held out that show the same picture as one learnt from, without a look at all of the set.

    Only those are compared whose features are most alike, so that copies that were much cropped are missed, and
    none is found in sets whose photos make too many pairs: :func:`near_pairs` finds more.

    Args:
        images: the set.
        photos: (N,) which of its photos the features are of, in rising order.
        features: (N, D).
        is_held_out: (N,).
    """
    learnt, asked = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
    if not 0 < len(learnt) * len(asked) <= _MOST_ACROSS:
        return []
    likenesses = unit_rows(features[asked]) @ unit_rows(features[learnt]).T
    best = likenesses.max(axis=1)
    surest = np.argsort(-best, kind="stable")[:_MOST_LOOKED_AT]
    surest = surest[best[surest] >= _NEAR_AT_ONCE]
    ends = np.stack([asked[surest], learnt[likenesses.argmax(axis=1)[surest]]], axis=1)
    chosen, places = np.unique(ends, return_inverse=True)
    if not len(chosen):
        return []
    some = images.select(np.isin(np.arange(len(images)), photos[chosen]))
    neighbours = Neighbours(np.zeros((len(chosen), 1), np.int64), np.full((len(chosen), 1), -1, np.float32))
    one, other = places.reshape(-1, 2).T
    neighbours.indices[one, 0], neighbours.similarities[one, 0] = other, best[surest]
    pairs = near_pairs(some, look_at(some), np.arange(len(chosen)), neighbours)
    return [(int(photos[chosen[a]]), int(photos[chosen[b]])) for a, b in pairs]


def _thumbnails(looks: Sequence[Look]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return thumbnails (N, 16, 16), and which pictures show enough to be told from others: digits don't."""
    thumbnails = [
        np.zeros((THUMBNAIL_PX,) * 2, np.uint8) if each.thumbnail is None else each.thumbnail for each in looks
    ]
    sides = [min(each.header.width, each.header.height) if each.header else 0 for each in looks]
    return np.stack(thumbnails), np.array(sides) >= _LEAST_PX


class _Pictures:
    """Photos as squares of 48 px, made when they are first asked for."""

    def __init__(self, images: ImageSet, photos: npt.NDArray[np.int64]) -> None:
        self._images, self._photos = images, photos
        self._made: dict[int, npt.NDArray[np.uint8]] = {}

    def of(self, row: int) -> npt.NDArray[np.uint8]:
        if row not in self._made:
            photo = self._images.read(int(self._photos[row]))
            self._made[row] = square(decode(photo, channels=1, smallest_px=LOOK_PX), _SQUARE_PX)
        return self._made[row]


def joined(links: Iterable[tuple[int, ...]]) -> Groups:
    """Return the groups that links make: photos that are linked, through others too, are in one."""
    leader: dict[int, int] = {}

    def lead(photo: int) -> int:
        while leader.setdefault(photo, photo) != photo:
            leader[photo] = leader[leader[photo]]
            photo = leader[photo]
        return photo

    for first, *others in links:
        for other in others:
            a, b = sorted((lead(first), lead(other)))
            leader[b] = a
    groups: dict[int, list[int]] = defaultdict(list)
    for photo in sorted(leader):
        groups[lead(photo)].append(photo)
    return [tuple(members) for members in groups.values()]


def find_copies(
    identical: Groups,
    near: Sequence[Pair],
    labels: npt.NDArray[np.int64],
    is_held_out: npt.NDArray[np.bool_],
    class_names: Sequence[str],
    *,
    num_pixels: npt.NDArray[np.int64] | None = None,
) -> Iterator[Finding]:
    """Find what copies do to a set, the worst of each group: two labels, both sides of the split, or a waste.

    Args:
        identical: groups of identical photos.
        near: pairs of nearly identical ones.
        labels: (N,) of all photos of the set, -1 where one has none.
        is_held_out: (N,).
        class_names: (K,).
        num_pixels: (N,) of each photo, where that is known: of near-copies the largest is kept.
    """
    size = np.zeros(len(labels), np.int64) if num_pixels is None else num_pixels
    cases: dict[str, list[Case]] = defaultdict(list)
    exact = {photo: number for number, group in enumerate(identical) for photo in group}
    for members in joined([*identical, *near]):
        group = tuple(sorted(members, key=lambda photo: (-size[photo], photo)))
        same_file = len({exact.get(photo, ~photo) for photo in group}) == 1
        what = "identical" if same_file else "nearly the same"
        names = sorted({class_names[labels[photo]] for photo in group if labels[photo] != NO_LABEL})
        held_out = [photo for photo in group if is_held_out[photo]]
        if len(names) > 1:
            cases["two labels"].append(_held_out_first(group, is_held_out, f"{what}: {', '.join(names)}"))
        elif 0 < len(held_out) < len(group):
            cases["leak"].append(replace(_held_out_first(group, is_held_out, what), keeps_first=True))
        else:
            kind = "copies" if same_file else "near-copies"
            cases[kind].append(Case(group, what, len(group), keeps_first=True))
    for name, of_kind in cases.items():
        count = sum(len(case.photos) for case in of_kind)
        groups = "1 picture" if len(of_kind) == 1 else f"{len(of_kind)} pictures"
        yield from found(name, of_kind, f"{groups} {_WHERE[name]} ({count} photos)")


_WHERE = {
    "two labels": "under two labels",
    "leak": "both learnt from and held out",
    "copies": "several times in identical files",
    "near-copies": "several times, nearly the same",
}


def _held_out_first(group: tuple[int, ...], is_held_out: npt.NDArray[np.bool_], evidence: str) -> Case:
    """Put photos held out first: of copies that lie on both sides, one of those is to be kept."""
    ordered = sorted(group, key=lambda photo: not is_held_out[photo])
    return Case(tuple(ordered), evidence, len(group))
