"""``features``: a network that gives what is inside it, by forward hooks that last as long as a call."""

import contextlib
import fnmatch
import threading
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from fieldguide.errors import UnknownNameError
from fieldguide.feature_maps.nodes import (
    Node,
    are_tokens_of,
    list_nodes,
    pick_nodes,
)
from fieldguide.introspection import input_shape_of, tensors_in
from fieldguide.models import create_model
from fieldguide.registry import did_you_mean


class _Enough(Exception):  # noqa: N818 - no error: it ends a forward pass that has given all it shall
    """All nodes are there; what the network would still compute, nobody wants."""


class FeatureMaps(nn.Module):
    """Images (N, C, H, W) -> the outputs of some nodes of ``network`` by their names, in the order they finish.

    The network is not changed: hooks are put on for a call, and taken off after it. It runs as far as the last
    node and no further. Gradients flow through, threads don't disturb each other, and modes, devices and
    parameters are those of :attr:`network`, a submodule.

    Args:
        network: any network.
        nodes: of :func:`list_nodes`.
        as_maps: give every node as a map (N, C, H, W): turn channels to the front, and lay tokens out as a map,
            without class token and registers. Otherwise outputs are as the modules give them.
    """

    def __init__(self, network: nn.Module, nodes: Sequence[Node], *, as_maps: bool) -> None:
        super().__init__()
        self.network = network
        self.info = tuple(nodes)
        self._as_maps = as_maps

    def as_maps(self) -> "FeatureMaps":
        """Return the same that gives every node as a map (N, C, H, W), where it is one."""
        return FeatureMaps(self.network, self.info, as_maps=True)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        waiting = {node.name: node.calls for node in self.info}
        with contextlib.ExitStack() as hooks:
            for node in self.info:
                module = self.network.get_submodule(node.name)
                hooks.callback(module.register_forward_hook(_keep(node, found, waiting)).remove)
            with contextlib.suppress(_Enough):
                self.network(images)
        absent = [node.name for node in self.info if node.name not in found]
        if absent:
            raise ValueError(
                f"the network did not call {absent[0]!r} for images of {tuple(images.shape)} "
                f"in {'training' if self.network.training else 'evaluation'} mode; choose another node"
            )
        if self._as_maps:
            return {node.name: as_map(node, found[node.name], images) for node in self.info}
        return {node.name: found[node.name] for node in self.info}


def features(
    model: nn.Module | str,
    nodes: str | Sequence[str] | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
) -> FeatureMaps:
    """Return a module that gives what is inside a network: images (N, C, H, W) -> {node: output}.

    A node is a module's name, as ``fieldguide nodes`` lists them, or a pattern: ``*`` stands for any characters,
    dots too, ``?`` for one of them, so ``"stages.?"`` is every stage and ``"*.conv2"`` the second convolution of
    every block. Outputs are as the modules give them: of a tuple the first tensor, of a module that is called
    several times the last output, and what a later layer overwrites in place is kept as it was before.

    Without nodes it gives one map (N, C, H / r, W / r) for each reduction r, the last one at each: of timm's
    models those that timm names, of ours those of the stem and the stages, of any other network what
    :func:`pick_nodes` says.

    Args:
        model: a network, or the name of one, ours, ``timm:NAME`` or ``torchvision:NAME``, freshly initialised.
        nodes: names and patterns.
        input_shape: (C, H, W) of one image, to find the nodes with; other sizes can be put through afterwards.

    Returns:
        The module; its ``info`` says of each node its name, channels and reduction, and more.

    Raises:
        UnknownNameError: there is no such model or node, or nothing matches a pattern; near names are named.
        ValueError: nodes is empty, the network can't take images of input_shape, or has no map of any stride.
        TypeError: model is neither a network nor a name.
    """
    if isinstance(model, str):
        network = create_model(model)
        own_shape = input_shape_of(network, model)
    elif isinstance(model, nn.Module):
        network, own_shape = model, input_shape_of(model)
    else:
        raise TypeError(f"model is {model!r}; it must be a network or the name of one")
    title = model if isinstance(model, str) else type(model).__name__
    try:
        known = list_nodes(network, input_shape or own_shape)
    except ValueError as error:
        raise ValueError(f"{title}: {error}; pass the shape that it takes as input_shape=(C, H, W)") from error
    if nodes is None:
        picked = pick_nodes(network, known)
        if not picked:
            raise ValueError(f"{title} has no maps that shrink as the image does; name its nodes: nodes=[...]")
        return FeatureMaps(network, picked, as_maps=True)
    patterns = [nodes] if isinstance(nodes, str) else list(nodes)
    if not patterns:
        raise ValueError("nodes is empty; name one or more, or leave it out for one map a stride")
    return FeatureMaps(network, select_nodes(title, known, patterns), as_maps=False)


def select_nodes(title: str, known: Sequence[Node], patterns: Sequence[str]) -> list[Node]:
    """Return the nodes that one of the patterns names, in their own order.

    Args:
        title: what the network is called, for messages.
        known: its nodes.
        patterns: names, or patterns with ``*``, ``?`` and ``[...]``.

    Raises:
        UnknownNameError: a name is no node's, or a pattern matches none.
    """
    names = [node.name for node in known]
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern) if any(sign in pattern for sign in "*?[") else []
        if not matching and pattern not in names:
            what = "no node matches" if any(sign in pattern for sign in "*?[") else "no node is called"
            hint = did_you_mean(pattern.strip("*?."), names) or "; `fieldguide nodes NAME` lists them"
            raise UnknownNameError(f"{title}: {what} {pattern!r}{hint}")
        chosen.update(matching or [pattern])
    return [node for node in known if node.name in chosen]


def _keep(
    node: Node, found: dict[str, Tensor], waiting: dict[str, int]
) -> Callable[[nn.Module, object, object], None]:
    """Return a hook that keeps the node's output, and ends the pass once nothing is waited for."""
    thread = threading.get_ident()

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        tensor = next(iter(tensors_in(output)), None)
        if tensor is None or threading.get_ident() != thread:  # another thread's call, with hooks of its own
            return
        found[node.name] = tensor.clone() if node.is_overwritten else tensor
        waiting[node.name] -= 1
        if not any(calls > 0 for calls in waiting.values()):
            raise _Enough

    return keep


def as_map(node: Node, output: Tensor, images: Tensor) -> Tensor:
    """Return a node's output for images (N, C, H, W) as a map (N, C, h, w), where it is one."""
    if node.axis_order == "NHWC":
        return output.permute(0, 3, 1, 2)
    if node.axis_order == "NTC" and node.reduction:
        height, width = _grid(output.shape[1], images.shape[2:], node.reduction)
        return output[:, -height * width :].transpose(1, 2).reshape(len(output), -1, height, width)
    return output


def _grid(tokens: int, image: Sequence[int], reduction: int) -> tuple[int, int]:
    """Return the sides of the map that tokens are of: an edge that doesn't fill a patch is cut off, or padded."""
    cut = (image[0] // reduction, image[1] // reduction)
    return cut if are_tokens_of(tokens, *cut) else (-(-image[0] // reduction), -(-image[1] // reduction))
