"""Fitting a file's tensors, in whatever layout, to a network of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fieldguide.errors import UnknownNameError, WeightsError
from fieldguide.models import TIMM_PREFIX, TORCHVISION_PREFIX, create_model
from fieldguide.weights.layouts import HEADS, Layout, layouts_of
from fieldguide.weights.tensors import Tensors, check_numbers, read_tensors

if TYPE_CHECKING:
    from torch import nn


_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel, of torch.compile
_AVERAGED = "n_averaged"  # how many networks torch's AveragedModel is the mean of
_IMAGE_TOWER = "visual."  # before its names in files of CLIP, which hold the tower for texts too


@dataclass(frozen=True)
class LoadReport:
    """What fitted, by our names, and what did not.

    Args:
        layout: whose names the file has: ``"fieldguide"``, ``"timm"``, ``"torchvision"``, ...; "" for the
            network's own.
        fitted: tensors taken from the file.
        missing: tensors that the file does not have.
        left_over: tensors of the file that the network does not have.
        misshapen: tensors of another shape: (name, the network's shape, the file's shape).
        adapted: the first filters, where they were made for images of other channels.
    """

    layout: str
    fitted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    adapted: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every tensor fitted, and none was left over."""
        return not (self.missing or self.left_over or self.misshapen)

    @property
    def fits(self) -> bool:
        """Whether all of the body fitted; a head of its own size is expected."""
        names = [*self.missing, *self.left_over, *(name for name, *_ in self.misshapen)]
        return all(name.startswith(HEADS) for name in names)

    def __str__(self) -> str:
        total = len(self.fitted) + len(self.missing) + len(self.misshapen)
        parts = [f"{len(self.fitted)} of {total} tensors fitted"]
        if self.layout:
            parts[0] += f", in the layout of {self.layout}"
        if self.adapted:
            parts.append(f"{self.adapted} adapted to the channels of the images")
        shapes = [f"{name} is {_by(found)}, not {_by(expected)}" for name, expected, found in self.misshapen]
        for what, names in (
            ("missing", self.missing), ("left over", self.left_over), ("of another shape", shapes)
        ):  # fmt: skip
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
        return "; ".join(parts)


def load_model(
    name: str,
    weights: str | Path,
    **arguments: Any,  # noqa: ANN401 - each factory types its own
) -> tuple["nn.Module", LoadReport]:
    """Build a network and fill it from a file. A head of another size than the file's keeps its initialisation.

    Args:
        name: of a registered model.
        weights: a .safetensors file in our layout, torchvision's or timm's, or of a CLIP in open_clip's; which one
            is detected.
        arguments: of the model's factory. Filters of a first layer with other ``in_channels`` are adapted.

    Returns:
        The network, in training mode, and what fitted.

    Raises:
        UnknownNameError: there is no such model.
        WeightsError: the file can't be read, or its body does not fit.
        ValueError: the factory refuses an argument.
    """
    import torch

    if name.startswith((TIMM_PREFIX, TORCHVISION_PREFIX)):
        raise UnknownNameError(
            f"{name} is no model of ours, which alone load_model fills; try {name.partition(':')[2]!r}, or "
            f"train with backbone={name!r}"
        )
    network = create_model(name, **arguments)
    tensors, report = fit_tensors(name, network, read_tensors(Path(weights)))
    network.load_state_dict({key: torch.from_numpy(t.copy()) for key, t in tensors.items()}, strict=False)
    return network, report


def fit_tensors(name: str, network: "nn.Module", tensors: Tensors) -> tuple[Tensors, LoadReport]:
    """Return the tensors of a file, under our names, that fit the network, and what did not.

    Args:
        name: of the registered model.
        network: built from it, on any device.
        tensors: the file's, in any layout that is known for it.

    Raises:
        WeightsError: the body does not fit; the message says which tensors speak against it.
    """
    tensors = image_tower(unwrapped(tensors))
    check_numbers(tensors)
    layout = detect_layout(name, network, tensors)
    found = dict(layout.to_ours(tensors))
    adapted = _adapt_first_filters(_shapes(network), found)
    _count_from_zero(network, found)
    _leave_out_biases_of_zeros(network, found)
    source = layout.source if 2 * layout.count(tensors) > len(tensors) else ""  # a few names are the same anywhere
    report = replace(report_fit(network, found), layout=source, adapted=adapted)
    if not report.fits:
        known = ", ".join(each.source for each in layouts_of(name, network))
        layouts = "" if source else f" in a layout that is known for it ({known})"
        raise WeightsError(f"the weights don't fit {name}: {report}; pass weights of this architecture{layouts}")
    return {key: found[key] for key in report.fitted}, report


def report_fit(network: "nn.Module", tensors: Tensors) -> LoadReport:
    """Say which of the tensors, under the network's own names, fit it, and which don't."""
    expected, found = _shapes(network), {name: tensor.shape for name, tensor in tensors.items()}
    common = [name for name in expected if name in found]
    return LoadReport(
        layout="",
        fitted=tuple(name for name in common if found[name] == expected[name]),
        missing=tuple(sorted(expected.keys() - found.keys())),
        left_over=tuple(sorted(found.keys() - expected.keys())),
        misshapen=tuple((n, expected[n], found[n]) for n in common if found[n] != expected[n]),
    )


def _shapes(network: "nn.Module") -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def unwrapped(tensors: Tensors) -> Tensors:
    """Return the tensors without the prefix that torch's wrappers put before every name, if one did."""
    tensors = {name: tensor for name, tensor in tensors.items() if name != _AVERAGED}
    while tensors and (prefix := next((p for p in _WRAPPERS if all(n.startswith(p) for n in tensors)), "")):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def image_tower(tensors: Tensors) -> Tensors:
    """Return what sees images of a file of CLIP, without the prefix of its names; of any other file, all."""
    tower = {n.removeprefix(_IMAGE_TOWER): t for n, t in tensors.items() if n.startswith(_IMAGE_TOWER)}
    return tower or tensors


def _count_from_zero(network: "nn.Module", found: dict[str, npt.NDArray[Any]]) -> None:
    """Add the counters of batches that some files leave out: only training with momentum None would read them."""
    for name in network.state_dict():
        module, _, tensor = name.rpartition(".")
        if tensor == "num_batches_tracked" and f"{module}.running_mean" in found:
            found.setdefault(name, np.array(0))


def _leave_out_biases_of_zeros(network: "nn.Module", found: dict[str, npt.NDArray[Any]]) -> None:
    """Leave out biases that add nothing, of layers that have none here: timm gives one to CLIP's projection."""
    expected = network.state_dict()
    for name in [name for name in found if name.endswith(".bias") and name not in expected]:
        if f"{name.removesuffix('bias')}weight" in expected and not found[name].any():
            del found[name]


def detect_layout(name: str, network: "nn.Module", tensors: Tensors) -> Layout:
    """Return the layout that most of the tensors' names are of; ours where none is."""
    return max(layouts_of(name, network), key=lambda layout: layout.count(tensors))


def _adapt_first_filters(
    expected: Mapping[str, tuple[int, ...]], found: dict[str, npt.NDArray[Any]]
) -> str | None:
    """Adapt the first convolution in ``found`` if only its input channels differ; return its name if so."""
    first = next((key for key, shape in expected.items() if len(shape) == 4), None)
    if first is None or first not in found or found[first].ndim != 4:
        return None
    channels, shape = expected[first][1], found[first].shape
    if shape[1] == channels or (shape[0], *shape[2:]) != (expected[first][0], *expected[first][2:]):
        return None
    found[first] = adapt_channels(found[first], channels)
    return first


def adapt_channels(filters: npt.NDArray[Any], in_channels: int) -> npt.NDArray[Any]:
    """Adapt filters (out, C, H, W) to images of other channels, so that what they answer keeps its size.

    One channel gets the sum over the old ones, as a grey image repeated in each would. More get the old ones
    repeated in turn, scaled down by as much as there are more. So timm does.
    """
    if in_channels == 1:
        return np.asarray(filters.sum(axis=1, keepdims=True))
    channels = filters.shape[1]
    repeated = np.take(filters, np.arange(in_channels) % channels, axis=1)
    return np.asarray(repeated * (channels / in_channels), filters.dtype)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
