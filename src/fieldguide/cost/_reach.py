"""How far every element of a tensor looks into the image: the first and the last pixel that it depends on.

What is kept of a tensor has its shape, but repeats by strides of 0 wherever elements carry the same, as the
channels of one place do: it is small, and so is the work.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Reach(NamedTuple):
    """Along one axis of the image, for each element of a tensor; each of its shape, kept small by strides of 0.

    A union is the largest of each. Infinite is what depends on the whole axis, minus infinite what depends on
    nothing.

    Args:
        before: minus the first pixel that it depends on.
        after: the last.
        step: pixels from its first pixel to its neighbour's, where there is no neighbour to tell it by.
    """

    before: Tensor
    after: Tensor
    step: Tensor


WHOLE = Reach(torch.tensor(math.inf), torch.tensor(math.inf), torch.tensor(1.0))  # of any shape
NOTHING = Reach(torch.tensor(-math.inf), torch.tensor(-math.inf), torch.tensor(0.0))


def of_image(images: Tensor, axis: int) -> Reach:
    """Return what the pixels of images (N, C, H, W) themselves carry: each its own place."""
    place = torch.arange(images.shape[axis], dtype=torch.float32).reshape((-1,) + (1,) * (-axis - 1))
    return Reach(*(t.expand(images.shape) for t in (-place, place, torch.ones(()))))


def is_whole(reach: Reach) -> bool:
    """Tell whether all elements depend on the whole axis."""
    return reach is WHOLE or bool(narrowed(reach.before).min() == math.inf)


def varies(tensor: Tensor, dim: int) -> bool:
    """Tell whether elements along a dimension are kept one by one."""
    return tensor.shape[dim] > 1 and tensor.stride(dim) != 0


def narrowed(tensor: Tensor, *, keep: Sequence[int] = ()) -> Tensor:
    """Leave one element of each dimension that repeats it."""
    for dim in range(tensor.ndim):
        if dim not in keep and tensor.stride(dim) == 0:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def narrowed_reach(reach: Reach, *, keep: Sequence[int] = ()) -> Reach:
    """Do the same for all three."""
    return Reach(*(narrowed(t, keep=keep) for t in reach))


def slope(reach: Reach, dim: int) -> Tensor:
    """Return the pixels from one element's first pixel to the next one's; 1 long in ``dim``.

    It is taken in the middle, over as many elements as a power of two, for an enlarged map has steps like a stair.
    """
    size = reach.before.shape[dim]
    if not varies(reach.before, dim):
        return reach.step.narrow(dim, 0, 1)
    count = 1 << ((size - 1).bit_length() - 1)
    first = (size - 1 - count) // 2
    before = narrowed(reach.before, keep=(dim % reach.before.ndim,))
    found = (before.narrow(dim, first, 1) - before.narrow(dim, first + count, 1)) / count
    return torch.where(found.isfinite(), found, narrowed(reach.step, keep=(dim % before.ndim,)).narrow(dim, 0, 1))


def _repeated(tensor: Tensor, dim: int, count: int) -> Tensor:
    """Give a dimension along which elements are the same another length."""
    first = tensor.narrow(dim, 0, 1)
    return first.expand(*first.shape[:dim], count, *_after(first.shape, dim))


def recollapsed(tensor: Tensor) -> Tensor:
    """Find the dimensions that repeat one element, after an operation that copied it."""
    kept = narrowed(tensor)  # to compare one element of each that repeats, not all of them
    for dim in range(kept.ndim):
        first = kept.narrow(dim, 0, 1)
        if kept.shape[dim] > 1 and bool((kept == first).all()):
            kept = first
    return kept.expand_as(tensor)


def reshaped(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Reshape, without a copy of outer dimensions that repeat one element and stay as they are."""
    target = list(shape)
    for first, step in ((0, 1), (-1, -1)):
        dim = first
        while -min(tensor.ndim, len(shape)) <= dim < min(tensor.ndim, len(shape)) and tensor.stride(dim) == 0:
            if tensor.shape[dim] != target[dim]:
                break
            tensor = tensor.narrow(dim, 0, 1)
            target[dim] = 1
            dim += step
    return recollapsed(tensor.reshape(target)).expand(shape)


def as_shape(reach: Reach, shape: torch.Size) -> Reach:
    """Repeat what is kept to another shape of as many dimensions."""
    return Reach(*(t.expand(shape) for t in narrowed_reach(reach)))


def union(reaches: Sequence[Reach], shape: torch.Size) -> Reach:
    """Join operands, which are broadcast to a shape."""
    narrow = [narrowed_reach(reach) for reach in reaches]
    largest = list(narrow[0])
    for other in narrow[1:]:
        largest = [torch.maximum(a, b) for a, b in zip(largest, other, strict=True)]
    return Reach(*(t.expand(shape) for t in largest))


def merged(reach: Reach, dim: "int | Sequence[int] | None", side_px: int) -> Reach:
    """Join all elements along dimensions, and keep these with length 1.

    Where elements of different places join, and together see the whole axis, the result depends on all of it.
    """
    along = dims(dim, reach.before.ndim)
    narrow = narrowed_reach(reach)
    if not along:
        return narrow
    before, after, step = (t.amax(along, keepdim=True) for t in narrow)
    differs = before != narrow.before.amin(along, keepdim=True)
    whole = differs & (before >= 0) & (after >= side_px - 1)
    return Reach(before.masked_fill(whole, math.inf), after.masked_fill(whole, math.inf), step)


def dims(dim: "int | Sequence[int] | None", ndim: int) -> tuple[int, ...]:
    """Return dimensions as a tuple of numbers from 0; all of them for None or none."""
    if isinstance(dim, int):
        return (dim % ndim,) if ndim else ()
    return tuple(d % ndim for d in dim) if dim else tuple(range(ndim))


def _after(shape: torch.Size, dim: int) -> tuple[int, ...]:
    return tuple(shape[dim + 1 :]) if dim < -1 else ()


def at_places(reach: Reach, dim: int, places: Tensor, scale: float, *, along: bool) -> Reach:
    """Join elements along a dimension.

    Args:
        reach: of the input.
        dim: of the input, negative.
        places: (outputs, elements of each): indices, which may lie beyond the edges.
        scale: how many elements of the input one step of the output is.
        along: whether this dimension follows the axis of the image.
    """
    size = reach.before.shape[dim]
    if not along and not varies(reach.before, dim):
        return Reach(*(_repeated(t, dim, len(places)) for t in reach))
    inside = places.clamp(0, size - 1)
    if along:
        reach = reach._replace(step=slope(reach, dim).expand_as(reach.step))
    before, after, step = (_taken(t, dim, inside) for t in reach)
    if along:
        beyond = (places - inside).reshape(places.shape + (1,) * (-dim - 1))
        before, after = before - beyond * step, after + beyond * step
        step = step * scale
    return Reach(*(t.amax(dim) for t in (before, after, step)))


def _taken(tensor: Tensor, dim: int, places: Tensor) -> Tensor:
    """Take elements along a dimension, which becomes two: (..., outputs, elements of each, ...)."""
    narrow = narrowed(tensor, keep=(dim % tensor.ndim,))
    taken = narrow.index_select(dim, places.flatten())
    return taken.reshape(narrow.shape[:dim] + places.shape + _after(narrow.shape, dim))
