"""Multiply-adds, the additions of biases, and the memory of activations, module by module."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from fieldguide.introspection import Operation, images_for, trace


@dataclass(frozen=True)
class Counts:
    """What each module did by itself, without its children, by dotted names; ``""`` is the network.

    Args:
        macs: multiply-adds of convolutions, matrix products and attention, as torch's own counter has them.
        bias_adds: additions of biases, which that counter leaves out.
        output_shapes: of the last call.
        output_bytes: of all calls; 0 where the output is the input, or shares its memory: Identity, Flatten,
            dropout in evaluation, an activation in place.
    """

    macs: Counter[str] = field(default_factory=Counter)
    bias_adds: Counter[str] = field(default_factory=Counter)
    output_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    output_bytes: Counter[str] = field(default_factory=Counter)

    def see_operation(self, operation: Operation, module: str) -> None:
        """Count an operation."""
        flops = flop_registry.get(operation.overload.overloadpacket)
        if flops is not None:
            self.macs[module] += flops(*operation.args, **operation.kwargs, out_val=operation.result) // 2
        if _adds_bias(operation):
            self.bias_adds[module] += operation.outputs[0].numel()

    def see_module(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Note a module's output."""
        if not outputs:
            return
        self.output_shapes[name] = tuple(outputs[0].shape)
        held = {tensor.untyped_storage()._cdata for tensor in inputs}
        self.output_bytes[name] += sum(t.nbytes for t in outputs if t.untyped_storage()._cdata not in held)


def count(network: nn.Module, input_shape: Sequence[int]) -> Counts:
    """Count what a network does to images of a shape. Nothing is computed, whatever the network's size.

    Args:
        network: on any device.
        input_shape: (N, C, H, W).

    Raises:
        ValueError: such images don't pass through the network.
    """
    counts = Counts()
    trace(network, images_for(network, input_shape), [counts])
    return counts


def total_macs(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Return the multiply-adds of a network for images (N, C, H, W), without the additions of biases.

    Raises:
        ValueError: such images don't pass through the network.
    """
    return count(network, input_shape).macs.total()


def _adds_bias(operation: Operation) -> bool:
    """Tell whether an operation adds a bias: within a product, or, where torch splits the two, after it."""
    if operation.name == "convolution":
        return operation.arguments["bias"] is not None
    added = operation.arguments.get({"addmm": "self", "add": "other"}.get(operation.name, ""))
    return isinstance(added, Tensor) and added.ndim == 1 < operation.outputs[0].ndim
