"""One pass through a network without numbers: which operations run, in which modules, and what comes out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from fieldguide.errors import first_line


@dataclass(frozen=True)
class Operation:
    """One of torch's own operations: what it was called with, and what came out.

    Args:
        overload: such as ``torch.ops.aten.convolution.default``.
        args: as it was called.
        kwargs: as it was called.
        result: a tensor, or several.
    """

    overload: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any

    @property
    def name(self) -> str:
        """Such as ``add``, for ``add_`` too, which writes in place."""
        name: str = self.overload.overloadpacket.__name__
        return name.removesuffix("_")

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """By their names in its schema, with the defaults filled in."""
        expected = self.overload._schema.arguments
        defaults = {a.name: a.default_value for a in expected if a.has_default_value()}
        return (
            defaults | {a.name: value for a, value in zip(expected, self.args, strict=False)} | dict(self.kwargs)
        )

    @cached_property
    def inputs(self) -> list[Tensor]:
        """The tensors that went in."""
        return tensors_in((self.args, self.kwargs))

    @cached_property
    def outputs(self) -> list[Tensor]:
        """The tensors that came out."""
        return tensors_in(self.result)


class UntraceableError(ValueError):
    """A network can't be followed without computing."""


class Observer(Protocol):
    """Whoever is told what happens in a network. What it computes as a module returns is traced, too."""

    def see_module(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Take note of a module that was called, by its dotted name, ``""`` for the whole network."""


@runtime_checkable
class OperationObserver(Observer, Protocol):
    """Whoever is told of single operations, too."""

    def see_operation(self, operation: Operation, module: str) -> None:
        """Take note of an operation that ran in a module, the innermost, by its dotted name."""


def trace(network: nn.Module, images: Tensor, observers: Sequence[Observer]) -> None:
    """Run a network in evaluation on the meta device: shapes are computed, numbers are not.

    The network may be on any device, and stays as it is: tensors without numbers stand in for its own.

    Args:
        network: takes one tensor of images.
        images: (N, C, H, W), on the meta device.
        observers: who is told of every module as it returns, and of operations.

    Raises:
        UntraceableError: the network needs numbers.
        ValueError: such images don't pass through the network.
    """
    stand_ins = {n: t.to("meta") for n, t in (*network.named_parameters(), *network.named_buffers())}
    of_operations = [observer for observer in observers if isinstance(observer, OperationObserver)]
    running: list[str] = []
    with torch.no_grad(), _evaluating(network), _watching_modules(network, running, observers):
        try:
            with _Operations(running, of_operations) if of_operations else nullcontext():
                functional_call(network, stand_ins, (images,))
        except Exception as error:  # whatever a stranger's network raises
            shape, reason = "x".join(map(str, images.shape[1:])), first_line(error)
            if "meta" in reason:  # nothing is wrong with the images
                raise UntraceableError(
                    f"the network can't be followed without computing: {reason}; make tensors that it holds "
                    "buffers, by register_buffer, and let no number of an image decide what is computed"
                ) from error
            raise ValueError(f"images of {shape} don't pass through the network: {reason}") from error


def images_for(network: nn.Module, input_shape: Sequence[int]) -> Tensor:
    """Return images (N, C, H, W) on the meta device, of the kind of numbers that a network has.

    Raises:
        ValueError: there can't be so many pixels.
    """
    kinds = (p.dtype for p in network.parameters() if p.is_floating_point())
    try:
        return torch.zeros(tuple(input_shape), device="meta", dtype=next(kinds, torch.float32))
    except (OverflowError, RuntimeError, TypeError) as error:
        shape = "x".join(map(str, input_shape[1:]))
        raise ValueError(f"images of {shape} can't be made: {first_line(error)}") from error


def tensors_in(value: object) -> list[Tensor]:
    """Return the tensors of a structure of lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for each in value for tensor in tensors_in(each)]


class _Operations(TorchDispatchMode):
    """Tells observers of every operation that torch dispatches."""

    def __init__(self, running: Sequence[str], observers: Sequence[OperationObserver]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._running = running
        self._observers = observers

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - as torch declares it
        types: Any,  # noqa: ANN401
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        operation = Operation(func, args, kwargs, result)
        for observer in self._observers:
            observer.see_operation(operation, self._running[-1] if self._running else "")
        return result


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module into evaluation, and back into what it was in."""
    training = [module for module in network.modules() if module.training]
    try:
        network.eval()
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _watching_modules(network: nn.Module, running: list[str], observers: Sequence[Observer]) -> Iterator[None]:
    """Keep the names of the modules that are running, the innermost last, and tell observers as they return."""
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def enters(*_: object) -> None:
            running.append(name)

        def returns(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401 - the module's
            running.pop()
            for observer in observers:
                observer.see_module(name, tensors_in((args, kwargs)), tensors_in(result))

        handles.append(module.register_forward_pre_hook(enters))
        handles.append(module.register_forward_hook(returns, with_kwargs=True))

    try:
        for name, module in network.named_modules():
            watch(name, module)
        yield
    finally:
        for handle in handles:
            handle.remove()
