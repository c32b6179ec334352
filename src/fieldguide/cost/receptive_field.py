"""Receptive fields: which pixels of the image each output of a network depends on.

A field has a size, a stride (how far the field of the next output is moved) and a padding (how far the field of
the first output lies beyond the image's border). It is found exactly, through branches too, and is that of the
architecture: padding counts as if the image went on, so a field may be larger than the image. An output that joins
places which together see the whole image, as global pooling, attention and flattened maps do, is global. An
operation without a rule, such as a Fourier transform, is taken to join all that it is given.

Gates are not followed, as is customary: one value for a whole map, computed from all of it, tells how much of the
map to let through, not what is where. Such are squeeze-and-excitation, global response normalisation, and the
statistics of group normalisation. With ``count_gates=True`` they are followed, and what comes after is global.
"""

import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from fieldguide.cost._reach import WHOLE, Reach, is_whole, narrowed, of_image, recollapsed, slope
from fieldguide.cost._reach_rules import Call, spread
from fieldguide.introspection import Operation, images_for, trace

AXES = (-2, -1)  # rows, columns

_MOST_SIDE_PX = 8192  # tokens are kept one by one: a gigabyte for ConvNeXt's at this side


@dataclass(frozen=True)
class Span:
    """A receptive field along one axis, in pixels.

    Args:
        size: of the field.
        stride: from one output's field to the next one's; below 1 where a map is enlarged.
        padding: how far the first output's field begins before the image; negative where it begins inside.
    """

    size: int
    stride: float
    padding: int


@dataclass(frozen=True)
class ReceptiveField:
    """What an output depends on, along the image's rows and columns; None is the whole image."""

    rows: Span | None
    columns: Span | None

    @property
    def is_global(self) -> bool:
        """Whether it is the whole image."""
        return self.rows is None and self.columns is None


class ReceptiveFields:
    """Observes a trace, and knows then the field of every module's output.

    Args:
        images: (N, C, H, W), those of the trace.
        count_gates: whether to follow gates.

    Raises:
        ValueError: the images are too large.
    """

    def __init__(self, images: Tensor, *, count_gates: bool = False) -> None:
        if max(images.shape[-2:]) > _MOST_SIDE_PX:
            raise ValueError(
                f"images are {images.shape[-2]}x{images.shape[-1]} px; receptive fields are found with images of "
                f"{_MOST_SIDE_PX} px at most, and hardly ever depend on the size"
            )
        self._count_gates = count_gates
        self._sides = {axis: images.shape[axis] for axis in AXES}
        self._reaches: Mapping[int, MutableMapping[Tensor, Reach]]
        self._reaches = {axis: WeakTensorKeyDictionary() for axis in AXES}
        self._of_module: dict[str, list[Reach]] = {}
        for axis in AXES:
            self._reaches[axis][images] = of_image(images, axis)

    def see_operation(self, operation: Operation, module: str) -> None:
        """Spread what the operation's inputs carry to its outputs."""
        for axis in AXES:
            reaches = self._reaches[axis]
            carried = [reaches[tensor] for tensor in operation.inputs if tensor in reaches]
            if not carried:
                continue
            if all(reach is WHOLE for reach in carried):
                spread_to = [WHOLE] * len(operation.outputs)
            else:
                spread_to = spread(Call(operation, axis, self._sides[axis], reaches.get, self._count_gates))
            for tensor, reach in zip(operation.outputs, spread_to, strict=False):
                reaches[tensor] = WHOLE if is_whole(reach) else reach

    def see_module(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Keep what a module's first output carries."""
        if outputs and outputs[0] in self._reaches[-2]:
            self._of_module[name] = [self._reaches[axis][outputs[0]] for axis in AXES]

    @property
    def of_module(self) -> dict[str, ReceptiveField]:
        """The fields, by the dotted names of modules; ``""`` is the network."""
        return {name: _field(reaches) for name, reaches in self._of_module.items()}


def receptive_fields(
    network: nn.Module, input_shape: Sequence[int], *, count_gates: bool = False
) -> dict[str, ReceptiveField]:
    """Return the receptive field of every module's output, by dotted names; ``""`` is the network.

    Args:
        network: on any device.
        input_shape: (N, C, H, W). A field does not depend on it, unless the network takes the image apart by its
            size, as windows of attention do.
        count_gates: whether to follow gates, such as squeeze-and-excitation.

    Raises:
        ValueError: such images don't pass through the network, or are too large.
    """
    images = images_for(network, input_shape)
    fields = ReceptiveFields(images, count_gates=count_gates)
    trace(network, images, [fields])
    return fields.of_module


def _field(reaches: Sequence[Reach]) -> ReceptiveField:
    """Return the field of an output from what it carries along the axes."""
    reaches = [Reach(*(recollapsed(part) for part in reach)) for reach in reaches]
    rows, columns = (narrowed(reach.before) for reach in reaches)
    # (N, C, H, W), but neither (N, H, W, C) nor tokens by heads (N, C, H * W, D); what sees all has any shape
    is_map = rows.ndim in (0, 4) and columns.ndim in (0, 4)
    is_map = is_map and rows.shape[-1:] in ((), (1,)) and columns.shape[-2:-1] in ((), (1,))
    return ReceptiveField(*(_span(reach, axis, is_map=is_map) for reach, axis in zip(reaches, AXES, strict=True)))


def _span(reach: Reach, axis: int, *, is_map: bool) -> Span | None:
    """Return the field of a map's middle, its channels taken together; of other outputs, the largest."""
    if is_whole(reach):
        return None
    before, after, step = (narrowed(part) for part in reach)
    before, after = torch.broadcast_tensors(before, after)  # type: ignore[no-untyped-call]
    middle = 0
    if is_map:
        middle = before.shape[axis] // 2
        step = slope(reach, axis)
        before, after = (part.amax(1, keepdim=True).narrow(axis, middle, 1) for part in (before, after))
    some = before > -math.inf  # the others are constants, such as a class token
    if before[some].isinf().any():
        return None
    stride = float(step.max())
    return Span(
        size=int((before + after)[some].max()) + 1,
        stride=int(stride) if stride.is_integer() else stride,
        padding=int(before[some].max() + middle * stride),
    )
