"""The nodes of a network: its modules, what they give, and which of them stand for the strides.

All of this is found by running the network on torch's meta device, which knows shapes and computes nothing.
"""

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from fieldguide.introspection import images_for, input_shape_of, trace

AxisOrder = Literal["NCHW", "NHWC", "NTC", ""]

# A second, larger image tells a map's stride exactly: the map grows by this over the stride, whatever is padded or
# cut off at the edges. It is a multiple of all customary strides, 14 and 28 of vision transformers too.
_GROWTH_PX = 448
_MOST_PREFIX_TOKENS = 16  # class token, distillation token, registers


@dataclass(frozen=True, kw_only=True)
class Node:
    """What one module of a network gives for one image.

    Args:
        name: of the module, as ``named_modules()`` has it.
        type: name of its class.
        shape: of its output, without the batch: (C, H, W), (H, W, C), (tokens, C) or another.
        channels: C.
        reduction: how many times smaller than the image's the sides of the map are; None where it is no map.
        axis_order: in which order the output has its axes; ``NTC`` is tokens of a map. Empty where it is no map.
        calls: how often the module is called for a batch; the node is the last call.
        is_overwritten: whether a later layer works in place on the output.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    channels: int
    reduction: int | None
    axis_order: AxisOrder
    calls: int = 1
    is_overwritten: bool = False


@dataclass
class _Sighting:
    """One module's outputs in one run."""

    calls: int = 0
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    version: int = 0


class _Sightings:
    """Observes a trace, and knows then what every module gave, in the order in which they finished."""

    def __init__(self) -> None:
        self.of_module: dict[str, _Sighting] = {}

    def see_module(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Note a module's first output, but not the whole network's."""
        if not name or not outputs:
            return
        seen = self.of_module.pop(name, None) or _Sighting()  # to the end, as the last to finish
        seen.calls += 1
        seen.output, seen.version = outputs[0], outputs[0]._version
        self.of_module[name] = seen


def list_nodes(network: nn.Module, input_shape: tuple[int, int, int] | None = None) -> list[Node]:
    """Return the nodes of a network in the order in which they finish, found without computing.

    Modules that evaluation doesn't call, such as auxiliary classifiers, are left out, and those that give no
    tensor; of several, the first one counts. The network is left as it was.

    Args:
        network: any module that takes images (N, C, H, W).
        input_shape: (C, H, W) of one image; by default what the network seems to be made for.

    Raises:
        ValueError: the network can't take such images.
    """
    channels, height, width = input_shape or input_shape_of(network)
    seen_once = _Sightings()
    trace(network, images_for(network, (1, channels, height, width)), [seen_once])
    larger = _Sightings()
    with contextlib.suppress(ValueError):  # of one size only: what ran before it stopped is known, and counts
        grown = (1, channels, height + _GROWTH_PX, width + _GROWTH_PX)
        trace(network, images_for(network, grown), [larger])
    types = {name: type(module).__name__ for name, module in network.named_modules()}
    nodes: list[Node] = []
    for name, seen in seen_once.of_module.items():
        nodes.append(_describe(name, types[name], seen, larger.of_module.get(name), (height, width), before=nodes))
    return nodes


def pick_nodes(network: nn.Module, nodes: Iterable[Node]) -> list[Node]:
    """Return one node a stride, the last at each, from the finest map to the coarsest.

    The candidates are: of timm's models, those that timm names in ``feature_info``; of ours, the stem and the
    stages; of any other, its children, where a child that hides a stride from sight gives way to its own children.
    """
    by_name = {node.name: node for node in nodes}
    candidates = _stated_by_timm(network, by_name)
    if not candidates:
        names = _stem_and_stages(network) or _coarse_children(network, by_name)
        candidates = [n for n in by_name.values() if n.name in names and n.type != "Identity"]  # that is the image
    last = {node.reduction: node for node in candidates if node.reduction is not None}
    return [last[reduction] for reduction in sorted(last)]


def _describe(
    name: str,
    kind: str,
    seen: _Sighting,
    larger: _Sighting | None,
    image: tuple[int, int],
    *,
    before: Sequence[Node],
) -> Node:
    """Say what a module gives, from its outputs for an image and, where there is one, for a larger image."""
    shape = tuple(map(int, seen.output.shape))
    axis_order: AxisOrder = ""
    reduction = None
    if len(shape) == 4 and larger is not None:
        axis_order, reduction = _stride_by_growth(shape, tuple(map(int, larger.output.shape)))
    elif len(shape) == 4:
        axis_order, reduction = _stride_by_quotient(shape, image)
    elif len(shape) == 3:
        maps = (node for node in reversed(before) if node.axis_order == "NCHW")
        reduction = next((m.reduction for m in maps if are_tokens_of(shape[1], m.shape[1], m.shape[2])), None)
        axis_order = "NTC" if reduction else ""
    return Node(
        name=name,
        type=kind,
        shape=shape[1:],
        channels=shape[1] if axis_order == "NCHW" else shape[-1],
        reduction=reduction,
        axis_order=axis_order,
        calls=seen.calls,
        is_overwritten=seen.output._version != seen.version,
    )


def _stride_by_growth(shape: tuple[int, ...], larger: tuple[int, ...]) -> tuple[AxisOrder, int | None]:
    """Return how a 4-D output is laid out, and its reduction; None where it is pooled, or no map at all."""
    steps = [after - before for before, after in zip(shape, larger, strict=True)]
    orders: dict[tuple[bool, ...], AxisOrder] = {
        (False, False, True, True): "NCHW",
        (False, True, True, False): "NHWC",
    }
    axis_order = orders.get(tuple(step != 0 for step in steps), "")
    if not axis_order or steps[2] != max(steps) or steps[2] > _GROWTH_PX or steps.count(steps[2]) != 2:
        return "", None
    return axis_order, round(_GROWTH_PX / steps[2])


def _stride_by_quotient(shape: tuple[int, ...], image: tuple[int, int]) -> tuple[AxisOrder, int | None]:
    """Return the same for a network that takes one size only, from how much smaller the map is than the image.

    Edges that are cut off make the quotient larger than the stride, by nearly half; edges that are padded make it
    smaller, by a ninth at most. So it counts as a power of two, but for even quotients, such as 14.
    """
    orders: tuple[tuple[AxisOrder, int, int], ...] = (("NCHW", shape[2], shape[3]), ("NHWC", shape[1], shape[2]))
    for axis_order, height, width in orders:
        quotient = image[0] / height
        if quotient == image[1] / width >= 1 and min(height, width) > 1:
            return axis_order, int(quotient) if quotient % 2 == 0 else 2 ** int(math.log2(quotient) + 0.17)
    return "", None


def are_tokens_of(tokens: int, height: int, width: int) -> bool:
    """Return whether so many tokens can be a map of these sides, and a few more before it."""
    return 0 <= tokens - height * width <= _MOST_PREFIX_TOKENS


def _stated_by_timm(network: nn.Module, nodes: dict[str, Node]) -> list[Node]:
    """Return the nodes that timm names, with the reductions that it states; none where it names anything else."""
    stated = [entry for entry in getattr(network, "feature_info", None) or () if isinstance(entry, dict)]
    if not all(entry.get("module") in nodes for entry in stated):
        return []
    found = []
    for entry in stated:
        node = nodes[entry["module"]]
        axis_order = "NTC" if len(node.shape) == 2 else node.axis_order
        found.append(replace(node, reduction=entry["reduction"], axis_order=axis_order))
    return found


def _stem_and_stages(network: nn.Module) -> set[str]:
    stages = getattr(network, "stages", None)
    if not isinstance(getattr(network, "stem", None), nn.Module) or not isinstance(stages, nn.Sequential):
        return set()
    return {"stem", *(f"stages.{name}" for name, _ in stages.named_children())}


def _coarse_children(network: nn.Module, nodes: dict[str, Node]) -> set[str]:
    """Return the children that show every stride; one that hides a stride is taken apart."""
    shown = [name for name, _ in network.named_children()]
    while True:
        strides = {nodes[name].reduction for name in shown if name in nodes}
        for name in shown:
            inside = {node.reduction for node in nodes.values() if node.name.startswith(f"{name}.")}
            if inside and (name not in nodes or inside - strides - {None}):
                children = [f"{name}.{child}" for child, _ in network.get_submodule(name).named_children()]
                shown = [*(other for other in shown if other != name), *children]
                break
        else:
            return set(shown)
