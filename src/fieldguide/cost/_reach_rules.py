"""The rules by which torch's operations spread how far an element looks into the image.

They are few, and none is of a network: moving elements (views, concatenation) moves what they carry; joining them
(sums, products, windows) takes the union. A padded edge carries what it would if the image went on beyond its
border, so that a field is found even where it is larger than the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from fieldguide.cost._reach import (
    NOTHING,
    WHOLE,
    Reach,
    as_shape,
    at_places,
    dims,
    is_whole,
    merged,
    narrowed,
    narrowed_reach,
    recollapsed,
    reshaped,
    union,
    varies,
)
from fieldguide.introspection import Operation


@dataclass(frozen=True)
class Call:
    """An operation, seen along one axis.

    Args:
        operation: what ran.
        axis: -2 for the rows of the image, -1 for its columns; also where (N, C, H, W) maps have it.
        side_px: of the image along this axis.
        reach_of: gives what is known of a tensor, or None where it depends on no pixel.
        count_gates: whether to follow gates; see :mod:`fieldguide.cost.receptive_field`.
    """

    operation: Operation
    axis: int
    side_px: int
    reach_of: Callable[[Tensor], Reach | None]
    count_gates: bool

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever the argument is
        return self.operation.arguments[name]

    @property
    def shape(self) -> torch.Size:
        """Shape of the (first) output."""
        return self.operation.outputs[0].shape

    def reach(self, tensor: Tensor) -> Reach:
        """What a tensor carries; nothing for a constant."""
        reach = self.reach_of(tensor)
        if reach is None or reach is WHOLE:
            return Reach(*(part.expand(tensor.shape) for part in reach or NOTHING))
        return reach

    @property
    def source(self) -> Reach:
        """What the first tensor carries."""
        first = self["input"] if "input" in self.operation.arguments else self["self"]
        return self.reach(first)

    @property
    def operands(self) -> list[tuple[Tensor, Reach]]:
        """The tensors that depend on the image, each with what it carries."""
        return [(t, self.reach(t)) for t in self.operation.inputs if self.reach_of(t) is not None]


Rule = Callable[[Call], "Reach | list[Reach]"]


def spread(call: Call) -> list[Reach]:
    """Return what the outputs of an operation carry, one for each of its leading outputs."""
    result = _rule_of(call)(call)
    return result if isinstance(result, list) else [result]


def _rule_of(call: Call) -> Rule:
    operation = call.operation
    if operation.name in _RULES:
        return _RULES[operation.name]
    if torch.Tag.pointwise in operation.overload.tags:
        return _pointwise
    if operation.overload.is_view:
        return _moved
    if "keepdim" in operation.arguments and "dim" in operation.arguments:
        return _reduced
    return _mixed_all


# Joining elements


def _pointwise(call: Call) -> Reach:
    operands = call.operands
    if len(operands) == 1 and operands[0][0].shape == call.shape:
        return operands[0][1]
    if not call.count_gates:
        operands = [o for o in operands if not is_gate(o[0], o[1], call.shape)] or operands
    return union([reach for _, reach in operands], call.shape)


def is_gate(tensor: Tensor, reach: Reach, shape: torch.Size) -> bool:
    """Tell whether an operand is one value for many places, made from the whole axis."""
    sizes = (1,) * (len(shape) - tensor.ndim) + tuple(tensor.shape)
    strides = (0,) * (len(shape) - tensor.ndim) + tensor.stride()
    same = any(
        full > 1 and 0 in (size - 1, stride) for full, size, stride in zip(shape, sizes, strides, strict=True)
    )
    return same and is_whole(reach)


def _reduced(call: Call) -> Reach:
    joined = merged(call.source, call["dim"], call.side_px)
    if call["keepdim"]:
        return as_shape(joined, call.shape)
    rank = joined.before.ndim
    kept = tuple(0 if d in dims(call["dim"], rank) else slice(None) for d in range(rank))
    return as_shape(Reach(*(t[kept] for t in joined)), call.shape)


def _mixed_along(call: Call) -> Reach:
    return as_shape(merged(call.source, call["dim"], call.side_px), call.shape)


def _normalised(call: Call) -> Reach:
    """Means and variances over the map are gates; over the channels of one place they join what is there."""
    if call.operation.name == "native_layer_norm":
        over: tuple[int, ...] = tuple(range(-len(call["normalized_shape"]), 0))
        if len(over) > 1 and not call.count_gates:
            over = ()
    elif not call.count_gates:
        over = ()
    elif "group_norm" in call.operation.name:
        over = tuple(range(1, len(call.shape)))
    else:
        over = tuple(range(2, len(call.shape))) if call.operation.arguments.get("training") else ()
    return as_shape(merged(call.source, over, call.side_px), call.shape) if over else call.source


def _product(call: Call) -> Reach:
    left, right = [t for t in call.operation.args if isinstance(t, Tensor)][-2:]
    reaches = [merged(call.reach(left), -1, call.side_px), merged(call.reach(right), -2, call.side_px)]
    return union(reaches, call.shape)


def _mixed_all(call: Call) -> list[Reach]:
    """What has no rule may mix all that it is given, and is taken to."""
    joined = [merged(reach, range(t.ndim), call.side_px) for t, reach in call.operands]
    whole = union([Reach(*(part.reshape(-1)[:1] for part in reach)) for reach in joined], torch.Size([1]))
    return [
        Reach(*(part.expand(t.shape) if t.ndim else part[0] for part in whole)) for t in call.operation.outputs
    ]


# Windows


def _convolved(call: Call) -> Reach:
    if call["transposed"]:
        return _mixed_all(call)[0]
    weight, groups = call["weight"], call["groups"]
    spatial = weight.ndim - 2
    source = Reach(*(_joined_channels(t, groups, call.shape[1], spatial) for t in call.source))
    return _windowed(call, source, weight.shape[2:])


def _joined_channels(tensor: Tensor, groups: int, out_channels: int, spatial: int) -> Tensor:
    """Join the channels of every group: (N, C, ...) -> (N, out_channels, ...)."""
    dim = tensor.ndim - spatial - 1
    if tensor.shape[dim] == 1 or tensor.stride(dim) == 0:
        joined = tensor.narrow(dim, 0, 1)
        return joined.expand(*(out_channels if d == dim else size for d, size in enumerate(joined.shape)))
    narrow = narrowed(tensor, keep=(dim,))
    shape = (*narrow.shape[:dim], groups, -1, *narrow.shape[dim + 1 :])
    joined = narrow.reshape(shape).amax(dim + 1).repeat_interleave(out_channels // groups, dim)
    return joined.expand(*tensor.shape[:dim], -1, *tensor.shape[dim + 1 :])


def _pooled(call: Call) -> Reach:
    return _windowed(call, call.source, call["kernel_size"])


def _windowed(call: Call, reach: Reach, kernel: Sequence[int]) -> Reach:
    """Join what a window of a convolution or of a pooling covers, one dimension of the map at a time."""
    count = len(kernel)
    stride, padding = call["stride"] or kernel, call["padding"]
    dilation = call.operation.arguments.get("dilation", 1)
    for number in range(count):
        dim = number - count
        size, step, edge, spacing = (_nth(v, number) for v in (kernel, stride, padding, dilation))
        places = torch.arange(call.shape[dim])[:, None] * step - edge + torch.arange(size) * spacing
        reach = at_places(reach, dim, places, step, along=dim == call.axis)
    return as_shape(reach, call.shape)


def _adaptively_pooled(call: Call) -> Reach:
    reach = call.source
    for dim in (-2, -1):
        size, wanted = reach.before.shape[dim], call.shape[dim]
        starts = [size * o // wanted for o in range(wanted)]
        ends = [-(-size * (o + 1) // wanted) for o in range(wanted)]
        most = max(end - start for start, end in zip(starts, ends, strict=True))
        places = torch.tensor(
            [[min(s + t, e - 1) for t in range(most)] for s, e in zip(starts, ends, strict=True)]
        )
        reach = at_places(reach, dim, places, size / wanted, along=dim == call.axis)
    return as_shape(reach, call.shape)


def _enlarged(call: Call) -> Reach:
    """Nearest or bilinear: an output lies between the two elements around its place, or on one of them."""
    reach, taps = call.source, 1 if "nearest" in call.operation.name else 2
    for dim in (-2, -1):
        size, wanted = reach.before.shape[dim], call.shape[dim]
        ratio = size / wanted
        centres = torch.arange(wanted) * ratio if taps == 1 else (torch.arange(wanted) + 0.5) * ratio - 0.5
        places = (centres.floor().long()[:, None] + torch.arange(taps)).clamp(0, size - 1)
        reach = at_places(reach, dim, places, ratio, along=dim == call.axis)
    return as_shape(reach, call.shape)


def _padded(call: Call) -> Reach:
    reach, pads = call.source, call["pad"]
    for number in range(len(pads) // 2):
        low, high = pads[2 * number : 2 * number + 2]
        dim = -1 - number
        if not (low or high):
            continue
        size = reach.before.shape[dim]
        places = torch.arange(-low, size + high)[:, None]
        is_map = len(call.shape) == 4 and dim >= -2
        along = varies(reach.before, dim) or (is_map and dim == call.axis)
        padded = at_places(reach, dim, places, 1, along=along)
        if not is_map and not along and not call.source.before.isinf().all():
            padded = _with_constants(padded, dim, low, high)
        reach = padded
    return as_shape(reach, call.shape)


def _with_constants(reach: Reach, dim: int, low: int, high: int) -> Reach:
    """Padding across channels depends on nothing."""
    inside = torch.zeros(reach.before.shape[dim], dtype=torch.bool)
    inside[low : len(inside) - high] = True
    inside = inside.reshape((-1,) + (1,) * (-dim - 1))
    return Reach(*(torch.where(inside, t, n) for t, n in zip(reach, NOTHING, strict=True)))


def _nth(value: "int | Sequence[int]", number: int) -> int:
    return value if isinstance(value, int) else value[number % len(value)]


# Moving elements


def _moved(call: Call) -> list[Reach]:
    """Run the very operation on what its tensors carry."""
    func, args, kwargs = call.operation.overload, call.operation.args, call.operation.kwargs
    results = []
    for part in range(3):
        swapped, options = tree_map(
            lambda v, part=part: call.reach(v)[part] if isinstance(v, Tensor) else v, (args, kwargs)
        )
        moved = func(*swapped, **options)
        results.append(list(moved) if isinstance(moved, (list, tuple)) else [moved])
    return [Reach(*parts) for parts in zip(*results, strict=True)]


def _kept(call: Call) -> Reach:
    return as_shape(call.source, call.shape)


def _copied(call: Call) -> Reach:
    return as_shape(call.reach(call["src"]), call.shape)


def _reshaped(call: Call) -> Reach:
    return Reach(*(reshaped(t, call.shape) for t in call.source))


def _concatenated(call: Call) -> Reach:
    dim = call["dim"] % len(call.shape)
    parts = [narrowed_reach(call.reach(t), keep=(dim,)) for t in call["tensors"] if t.ndim == len(call.shape)]
    joined = []
    for number in range(3):
        tensors = [part[number] for part in parts]
        widest = [max(t.shape[d] for t in tensors) for d in range(len(call.shape))]
        wide = [t.expand(*(t.shape[d] if d == dim else widest[d] for d in range(t.ndim))) for t in tensors]
        joined.append(recollapsed(torch.cat(wide, dim)).expand(call.shape))
    return Reach(*joined)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _product),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax", "cumsum"), _mixed_along),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pooled),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d"), _enlarged),
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "reshape"), _reshaped),
    **dict.fromkeys(("roll", "flip", "repeat", "stack"), _moved),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"), _moved),
    **dict.fromkeys(("clone", "_to_copy"), _kept),
    **dict.fromkeys(
        ("native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit_no_training",
         "_native_batch_norm_legit", "cudnn_batch_norm"),
        _normalised,
    ),
    "convolution": _convolved,
    "_adaptive_avg_pool2d": _adaptively_pooled,
    "adaptive_max_pool2d": _adaptively_pooled,
    "constant_pad_nd": _padded,
    "copy": _copied,
    "cat": _concatenated,
}  # fmt: skip
