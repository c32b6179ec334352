"""A network's layer tree, with what every part of it costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from fieldguide.cost.count import Counts
from fieldguide.cost.freezing import freeze as freeze_modules
from fieldguide.cost.receptive_field import ReceptiveField, ReceptiveFields
from fieldguide.introspection import create_on_meta, images_for, input_shape_of, trace


@dataclass(frozen=True, kw_only=True)
class ModuleCost:
    """What one module costs, together with all that is in it, for the summary's input.

    Args:
        name: dotted; ``""`` is the whole network.
        kind: its class.
        output_shape: of its (first) output; None where it was not called itself, as a list of modules is not.
        params: of them ``frozen_params`` are not trained.
        frozen_params: those with ``requires_grad`` False.
        macs: multiply-adds, without the additions of biases.
        bias_adds: those additions.
        activation_bytes: of the outputs of all layers in it that have none inside.
        receptive_field: of its output; None where it was not called, or depends on no pixel.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    params: int
    frozen_params: int
    macs: int
    bias_adds: int
    activation_bytes: int
    receptive_field: ReceptiveField | None

    @property
    def depth(self) -> int:
        """0 for the whole network, 1 for its children."""
        return self.name.count(".") + 1 if self.name else 0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a network costs.

    Args:
        input_shape: (N, C, H, W).
        modules: the whole network first, then the tree from top to bottom.
        weight_bytes: of its parameters and buffers.
    """

    input_shape: tuple[int, ...]
    modules: tuple[ModuleCost, ...]
    weight_bytes: int

    @property
    def total(self) -> ModuleCost:
        """The whole network."""
        return self.modules[0]

    def __getitem__(self, name: str) -> ModuleCost:
        """Return the module of a dotted name.

        Raises:
            KeyError: there is none.
        """
        for module in self.modules:
            if module.name == name:
                return module
        raise KeyError(name)


def summary(
    model: nn.Module | str,
    *,
    input_shape: Sequence[int] | None = None,
    size_px: int | None = None,
    freeze: str | Iterable[str] = (),
    **arguments: Any,  # noqa: ANN401 - each factory types its own
) -> Summary:
    """Summarise a network. Nothing is computed, whatever its size; one called by name takes no memory either.

    Args:
        model: a network that takes one tensor of images, or the name of one, as
            :func:`fieldguide.models.create_model` takes it.
        input_shape: (N, C, H, W), or (C, H, W) for one image; by default of one that the network was designed
            for.
        size_px: side of that image, instead.
        freeze: names of modules to freeze in a network called by name, as of :func:`fieldguide.cost.freeze`.
        arguments: of its factory, such as ``num_classes``.

    Raises:
        UnknownNameError: there is no such network, or no such module in it.
        ValueError: the factory refuses an argument, the shape is none of images, or such images don't pass through
            the network.
        TypeError: model is neither a network nor a name, or a network comes with what is for names only; or
            input_shape and size_px are both given.
    """
    if input_shape is not None and size_px is not None:
        raise TypeError(f"input_shape is {tuple(input_shape)} and size_px {size_px}; pass one of them")
    network, (channels, height, width) = _network_of(model, freeze, arguments)
    shape = tuple(input_shape or (1, channels, size_px or height, size_px or width))
    shape = shape if len(shape) == 4 else (1, *shape)
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(f"input_shape is {tuple(input_shape or shape)}; it must be (N, C, H, W), each 1 or more")
    images = images_for(network, shape)
    counts, fields = Counts(), ReceptiveFields(images)
    trace(network, images, [counts, fields])
    of_module = fields.of_module
    modules = [_cost(name, m, counts, of_module.get(name)) for name, m in network.named_modules()]
    tensors = [*network.parameters(), *network.buffers()]
    return Summary(input_shape=shape, modules=tuple(modules), weight_bytes=sum(t.nbytes for t in tensors))


def _network_of(
    model: nn.Module | str, freeze: str | Iterable[str], arguments: dict[str, Any]
) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return a network, and the shape (C, H, W) of the images that it was designed for."""
    if isinstance(model, str):
        network = create_on_meta(model, **arguments)
        freeze_modules(network, freeze)
        channels, height, width = input_shape_of(network, model)
        return network, (arguments.get("in_channels", channels), height, width)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {model!r}; it must be a network or the name of one")
    if freeze or arguments:
        given = ", ".join([*(["freeze"] if freeze else []), *arguments])
        raise TypeError(f"{given}: only for a network called by name; a network of yours is summarised as it is")
    return model, input_shape_of(model)


def _cost(name: str, module: nn.Module, counts: Counts, field: ReceptiveField | None) -> ModuleCost:
    prefix = f"{name}." if name else ""
    inside = [prefix + inner if inner else name for inner, _ in module.named_modules()]
    leaves = [prefix + inner if inner else name for inner, m in module.named_modules() if not any(m.children())]
    parameters = list(module.parameters())
    return ModuleCost(
        name=name,
        kind=type(module).__name__,
        output_shape=counts.output_shapes.get(name),
        params=sum(p.numel() for p in parameters),
        frozen_params=sum(p.numel() for p in parameters if not p.requires_grad),
        macs=sum(counts.macs[each] for each in inside),
        bias_adds=sum(counts.bias_adds[each] for each in inside),
        activation_bytes=sum(counts.output_bytes[each] for each in leaves),
        receptive_field=field,
    )
