"""Rename tables between the names that others give to a network's tensors and ours, both ways; one family a file.

The file is called as the family's file in ``models/``. For each source it has a function of that name, such as
``torchvision`` or ``timm``, that takes our network (it may be on the meta device) and yields :class:`Rename` rows.
"""

import importlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fieldguide.models import MODELS
from fieldguide.weights.tensors import Tensors

if TYPE_CHECKING:
    from torch import nn


OURS = "fieldguide"  # our own layout's source


class Rename(NamedTuple):
    """One row: a module, with all that is in it, or a single tensor.

    Args:
        ours: its name here.
        theirs: its name there.
        trailing_axes: how many axes of length 1 theirs has after ours.
    """

    ours: str
    theirs: str
    trailing_axes: int = 0


class Layout:
    """How one source names, and shapes, the tensors of one network.

    Args:
        source: whose layout it is.
        network: ours.
        rows: the rename table; None for our own layout. Tensors that no row covers are not in theirs.

    Raises:
        ValueError: two rows give one name, or a row names nothing of the network.
    """

    def __init__(self, source: str, network: "nn.Module", rows: Iterable[Rename] | None) -> None:
        self.source = source
        keys = list(network.state_dict())
        self._rows: dict[str, Rename] = {}
        for row in rows if rows is not None else map(Rename, keys, keys):
            covered = [key for key in keys if key == row.ours or key.startswith(f"{row.ours}.")]
            if not covered:
                raise ValueError(f"{source}'s table renames {row.ours!r}, which the network does not have")
            for key in covered:
                self._rows[key] = row._replace(ours=key, theirs=row.theirs + key.removeprefix(row.ours))
        self._ours_of = {row.theirs: row.ours for row in self._rows.values()}
        if len(self._ours_of) < len(self._rows):
            raise ValueError(f"{source}'s table gives one name to two tensors")

    def count(self, names: Iterable[str]) -> int:
        """Return how many of the names are of this layout."""
        return len(self._ours_of.keys() & set(names))

    def to_ours(self, tensors: Tensors) -> Tensors:
        """Rename theirs to ours; what is not in the table keeps its name."""
        renamed = {}
        for theirs, tensor in tensors.items():
            ours = self._ours_of.get(theirs, theirs)
            axes = self._rows[ours].trailing_axes if ours in self._rows else 0
            is_flat = axes and tensor.shape[-axes:] == (1,) * axes
            renamed[ours] = tensor.reshape(tensor.shape[:-axes]) if is_flat else tensor
        return renamed

    def from_ours(self, tensors: Tensors) -> Tensors:
        """Rename ours to theirs; what is not in the table is left out."""
        rows = ((self._rows[name], tensor) for name, tensor in tensors.items() if name in self._rows)
        return {row.theirs: t.reshape((*t.shape, *(1,) * row.trailing_axes)) for row, t in rows}


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
    if entry.facts["references"]:
        module = importlib.import_module(f"{__name__}.{family}")
        tables += [(source, getattr(module, source)(network)) for source in entry.facts["references"]]
    return [Layout(source, network, rows) for source, rows in tables]
