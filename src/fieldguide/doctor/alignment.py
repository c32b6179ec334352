"""Whether two pictures are one: resized, recompressed, cropped or mirrored.

First thumbnails of many pairs are compared at once, as they lie and as slightly cropped ones of each other. Then
the one picture of a likely pair is stretched and moved over the other until they differ least (Lucas and Kanade,
1981). What is left to compare is the part that both show.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]
Greys = npt.NDArray[np.uint8]

_MARGINS = (0.0, 0.06, 0.12)  # shares of a side that crops leave out at either end
_PAIRS, _MANY_PAIRS = 256, 16_384  # at once
_STEPS = 8  # of the second part, at each size
_LEAST_OVERLAP = 0.6  # of the one's area
_FLAT = 0.02  # standard deviation of a picture too even to be compared, from 0 to 1
_DAMPING = 1e-3


@dataclass(frozen=True)
class Lay:
    """How one picture lies over another, roughly.

    Args:
        likeness: their correlation as they lie so.
        warp: (4,) scale and shift along the width, then along the height: a place from -1 to 1 of the one is at
            ``scale * place + shift`` of the other.
        is_mirrored: whether the other one is to be mirrored first.
    """

    likeness: float
    warp: Places
    is_mirrored: bool


def likeness_as_they_lie(thumbnails: Greys, pairs: npt.NDArray[np.int64]) -> Floats:
    """Return how alike thumbnails are, or mirrored ones, whichever is more: correlations (P,), quickly.

    Args:
        thumbnails: (N, S, S).
        pairs: (P, 2) of them.
    """
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _MANY_PAIRS):
        ours, theirs = (thumbnails[pairs[start : start + _MANY_PAIRS, end]] for end in (0, 1))
        one, other, mirrored = (
            _standardised(pictures.reshape(len(pictures), -1)) for pictures in (ours, theirs, theirs[:, :, ::-1])
        )
        found[start : start + len(ours)] = np.maximum((one * other).mean(axis=1), (one * mirrored).mean(axis=1))
    return found


def rough_lays(thumbnails: Greys, pairs: npt.NDArray[np.int64]) -> list[Lay]:
    """Lay thumbnails over each other, each as a crop of the other, mirrored or not.

    Args:
        thumbnails: (N, S, S).
        pairs: (P, 2) of them.

    Returns:
        The best lay of each pair.
    """
    lays: list[Lay] = []
    for start in range(0, len(pairs), _PAIRS):
        ours, theirs = (thumbnails[pairs[start : start + _PAIRS, end]] for end in (0, 1))
        lays += _rough_lays(ours, theirs)
    return lays


def _rough_lays(ours: Greys, theirs: Greys) -> list[Lay]:
    mirrored = theirs[:, :, ::-1]
    tried = [
        _by_crop(theirs, ours),  # ours shows a part of theirs
        _by_crop(mirrored, ours),
        _by_crop(ours, theirs),  # theirs shows a part of ours
        _by_crop(ours, mirrored),
    ]
    best = np.stack([likeness.max(axis=1) for likeness in tried]).argmax(axis=0)
    lays = []
    for pair, way in enumerate(best.tolist()):
        crop = int(tried[way][pair].argmax())
        warp = _WARPS[crop] if way < 2 else _inverse(_WARPS[crop])
        lays.append(Lay(float(tried[way][pair, crop]), warp, way % 2 == 1))
    return lays


def _by_crop(wholes: Greys, parts: Greys) -> Floats:
    """Wholes (P, S, S), parts (P, S, S) -> (P, C) how alike each part is to C crops of its whole."""
    side = wholes.shape[-1]
    samplers = np.stack([_sampler(scale, shift, side) for scale, shift in _SPANS])
    across = wholes[:, None].astype(np.float32) @ samplers.transpose(0, 2, 1)  # (P, 9, S, S), cropped in width
    crops = samplers[None, None] @ across[:, :, None]  # (P, 9, 9, S, S), and in height
    crops = _standardised(crops.reshape(len(wholes), len(_WARPS), side * side))
    correlations: Floats = (crops @ _standardised(parts.reshape(len(parts), 1, -1)).transpose(0, 2, 1))[:, :, 0]
    return correlations / np.float32(side * side)


_SPANS = [(1 - left - right, left - right) for left, right in product(_MARGINS, repeat=2)]
_WARPS = [np.array([*across, *down]) for across, down in product(_SPANS, repeat=2)]


def _inverse(warp: Places) -> Places:
    scales, shifts = warp[::2], warp[1::2]
    return np.stack([1 / scales, -shifts / scales], axis=1).ravel()


def _sampler(scale: float, shift: float, side: int) -> Floats:
    """Return (S, S) that takes S pixels to as many of the part at ``scale * place + shift``, between pixels."""
    pixels = (scale * _places(side) + shift + 1) * (side / 2) - 0.5
    distance = np.abs(np.clip(pixels, 0, side - 1)[:, None] - np.arange(side)[None, :])
    weights: Floats = np.maximum(0, 1 - distance).astype(np.float32)
    return weights


def _standardised(pictures: npt.NDArray[np.generic]) -> Floats:
    """(..., S * S) -> the same with mean 0 and standard deviation 1; less of what is nearly even."""
    values = pictures.astype(np.float32)
    values -= values.mean(axis=-1, keepdims=True)
    values /= np.maximum(values.std(axis=-1, keepdims=True), 255 * _FLAT)
    return values


def likeness(ours: Greys, theirs: Greys, lay: Lay) -> float:
    """Return how alike two pictures are where they overlap, from 0 to 1 for the same: their correlation.

    Args:
        ours: (L, L).
        theirs: (L, L).
        lay: how they lie, roughly; it is improved.
    """
    fixed, moving = (greys.astype(np.float32) / np.float32(255) for greys in (ours, theirs))
    moving = np.ascontiguousarray(moving[:, ::-1]) if lay.is_mirrored else moving
    warp = lay.warp
    for _ in range(_STEPS):
        score, step = _improve(fixed, moving, warp)
        if step is None:
            return score
        warp = warp + step
    return _improve(fixed, moving, warp)[0]


def _improve(fixed: Floats, moving: Floats, warp: Places) -> tuple[float, Places | None]:
    """Return the correlation of a picture with another one that is warped, and the step to a better warp.

    The step is None where too little overlaps, or nothing is to be seen.
    """
    side = len(fixed)
    places = _places(side)
    columns, inside_columns = _to_pixels(warp[0] * places + warp[1], side)
    rows, inside_rows = _to_pixels(warp[2] * places + warp[3], side)
    if inside_rows.sum() * inside_columns.sum() < _LEAST_OVERLAP * side * side:
        return 0.0, None
    inside = np.ix_(inside_rows, inside_columns)
    warped, by_row, by_column = _sample(moving, rows[inside_rows], columns[inside_columns])
    shown = fixed[inside]
    if shown.std() < _FLAT or warped.std() < _FLAT:
        return 0.0, None
    scale = 1 / warped.std()
    ours, theirs = (shown - shown.mean()) / shown.std(), (warped - warped.mean()) * scale
    by_column, by_row = by_column * (scale * side / 2), by_row * (scale * side / 2)
    x, y = places[inside_columns][None, :], places[inside_rows][:, None]
    slopes = np.stack([by_column * x, by_column, by_row * y, by_row]).reshape(4, -1)
    slopes -= slopes.mean(axis=1, keepdims=True)
    normal = slopes @ slopes.T
    normal += _DAMPING * np.trace(normal) * np.eye(4)
    step = np.asarray(np.linalg.solve(normal, slopes @ (ours - theirs).ravel()), np.float64)
    return float((ours * theirs).mean()), step


def _places(side: int) -> Places:
    """Return the places (S,) of pixels, from -1 to 1."""
    return np.linspace(1 / side - 1, 1 - 1 / side, side)


def _to_pixels(places: Places, side: int) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return places from -1 to 1 as indices of pixels, and which of them lie between two pixels."""
    pixels = (places + 1) * (side / 2) - 0.5
    return pixels, (pixels > -0.5) & (pixels < side - 0.5)


def _sample(picture: Floats, rows: Places, columns: Places) -> tuple[Floats, Floats, Floats]:
    """Return a picture's values (R, C) between its pixels, and their slopes by rows and by columns."""
    side = len(picture)
    top, left = (np.clip(np.floor(places), 0, side - 2).astype(np.int64) for places in (rows, columns))
    down = np.clip(rows - top, 0, 1).astype(np.float32)[:, None]
    right = np.clip(columns - left, 0, 1).astype(np.float32)[None, :]
    upper, lower = picture[top], picture[top + 1]
    upper_left, upper_right = upper[:, left], upper[:, left + 1]
    lower_left, lower_right = lower[:, left], lower[:, left + 1]
    above = upper_left + right * (upper_right - upper_left)
    below = lower_left + right * (lower_right - lower_left)
    beside = (upper_right - upper_left) + down * ((lower_right - lower_left) - (upper_right - upper_left))
    return above + down * (below - above), below - above, beside
