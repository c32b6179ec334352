"""Rename tables between the names that others give to a network's tensors and ours, both ways; one family a file.

The file is called as the family's file in ``models/``. For each source it has a function of that name, such as
``torchvision`` or ``timm``, that takes our network (it may be on the meta device) and yields :class:`Rename` rows.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from fieldguide.models import MODELS
from fieldguide.weights.tensors import Tensors

if TYPE_CHECKING:
    from torch import nn


HEADS = ("classifier.", "aux1.", "aux2.")  # what names classes; all else is the body
OURS = "fieldguide"  # our own layout's source


class Rename(NamedTuple):
    """One row: a module, with all that is in it, or a single tensor.

    Args:
        ours: its name here.
        theirs: its name there.
        trailing_axes: how many axes theirs has after ours.
        axis_length: of each of them; above 1, they are flattened into our last axis.
        leading_axes: how many axes, of length 1, ours has before theirs.
        is_transposed: whether theirs is a matrix with our rows as columns.
    """

    ours: str
    theirs: str
    trailing_axes: int = 0
    axis_length: int = 1
    leading_axes: int = 0
    is_transposed: bool = False


class Layout:
    """How one source names, and shapes, the tensors of one network.

    Args:
        source: whose layout it is.
        network: ours.
        rows: the rename table; None for our own layout. Tensors that no row covers are not in theirs.

    Raises:
        ValueError: two rows give one name, or a row names nothing of the network but a head that it may lack.
    """

    def __init__(self, source: str, network: "nn.Module", rows: Iterable[Rename] | None) -> None:
        self.source = source
        self._names = set(network.state_dict())
        if rows is None:
            rows = [Rename(child, child) for child in {name.partition(".")[0] for name in self._names}]
        self._by_ours = {row.ours: row for row in rows}
        self._by_theirs = {row.theirs: row for row in self._by_ours.values()}
        if len(self._by_theirs) < len(self._by_ours):
            raise ValueError(f"{source}'s table gives one name to two tensors")
        covered = {row.ours for row in (_row_of(name, self._by_ours) for name in self._names) if row}
        for row in self._by_ours.values():
            if row.ours not in covered and not f"{row.ours}.".startswith(HEADS):
                raise ValueError(f"{source}'s table renames {row.ours!r}, which the network does not have")

    def count(self, names: Iterable[str]) -> int:
        """Return how many of the names are of this layout."""
        rows = ((name, _row_of(name, self._by_theirs)) for name in names)
        return sum(row.ours + name.removeprefix(row.theirs) in self._names for name, row in rows if row)

    def to_ours(self, tensors: Tensors) -> Tensors:
        """Rename theirs to ours; what is not in the table keeps its name."""
        renamed = {}
        for theirs, tensor in tensors.items():
            if row := _row_of(theirs, self._by_theirs):
                renamed[row.ours + theirs.removeprefix(row.theirs)] = _as_ours(tensor, row)
            else:
                renamed[theirs] = tensor
        return renamed

    def from_ours(self, tensors: Tensors) -> Tensors:
        """Rename ours to theirs; what is not in the table is left out."""
        renamed = {}
        for ours, tensor in tensors.items():
            if row := _row_of(ours, self._by_ours):
                renamed[row.theirs + ours.removeprefix(row.ours)] = _as_theirs(tensor, row)
        return renamed


def _as_ours(tensor: npt.NDArray[Any], row: Rename) -> npt.NDArray[Any]:
    """Give a tensor of theirs our shape; one of a shape that the row does not expect keeps its own."""
    axes = (row.axis_length,) * row.trailing_axes
    if axes and tensor.shape[-len(axes) :] == axes:
        tensor = tensor.reshape((*tensor.shape[: -len(axes) - 1], -1))
    if row.is_transposed and tensor.ndim == 2:
        tensor = tensor.T
    return tensor.reshape((1,) * row.leading_axes + tuple(tensor.shape)) if row.leading_axes else tensor


def _as_theirs(tensor: npt.NDArray[Any], row: Rename) -> npt.NDArray[Any]:
    """Give a tensor of ours their shape."""
    axes = (row.axis_length,) * row.trailing_axes
    if axes:
        return tensor.reshape((*tensor.shape[:-1], -1, *axes))
    if row.is_transposed:
        return tensor.T
    return tensor.reshape(tensor.shape[row.leading_axes :]) if row.leading_axes else tensor


def _row_of(name: str, table: Mapping[str, Rename]) -> Rename | None:
    """Return the row of the tensor itself or, without one, of the innermost module around it that has one."""
    while name and name not in table:
        name = name.rpartition(".")[0]
    return table.get(name)


def blocks_of(stages: "nn.Sequential") -> Iterator[tuple[int, int, Any]]:
    """Yield (stage, index, block) of every block, in order; ``stages`` are Sequentials of blocks."""
    for s, stage in enumerate(stages.children()):
        for b, block in enumerate(stage.children()):
            yield s, b, block


def layouts_of(name: str, network: "nn.Module") -> list[Layout]:
    """Return every layout that a registered model is known in, ours first.

    Args:
        name: of the model.
        network: built from it, on any device.
    """
    entry = MODELS[name]
    family = entry.factory.__module__.rpartition(".")[2]
    tables = [(OURS, None)]
    if entry.facts.references:
        module = importlib.import_module(f"{__name__}.{family}")
        tables += [(source, getattr(module, source)(network)) for source in entry.facts.references]
    return [Layout(source, network, rows) for source, rows in tables]
