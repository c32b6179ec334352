"""Named arrays in safetensors files, without torch."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.errors import WeightsError

Tensors = Mapping[str, npt.NDArray[Any]]


class Weights:
    """A network's tensors, read when they are first asked for: photos whose features are known need none.

    Args:
        load: reads them.
        fingerprint: of the tensors, where that is known without reading them.
        report: what of a file fitted, for people.
    """

    def __init__(
        self, load: Callable[[], Tensors], fingerprint: str | None = None, *, report: str | None = None
    ) -> None:
        self.report = report
        self._load = load
        self._fingerprint = fingerprint

    @cached_property
    def tensors(self) -> Tensors:
        """The arrays by name.

        Raises:
            WeightsError: their file can't be read.
        """
        return self._load()

    @property
    def are_loaded(self) -> bool:
        """Whether the tensors have been read."""
        return "tensors" in vars(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tensors: of what they are, not of where they came from."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.tensors)
        return self._fingerprint


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read every array of a safetensors file.

    Raises:
        WeightsError: it does not exist, is damaged, or not a safetensors file.
    """
    from safetensors.numpy import load_file

    check_is_file(path)
    try:
        try:
            return dict(load_file(path))
        except TypeError:  # bfloat16, which numpy lacks
            return _read_by_torch(path)
    except Exception as error:  # its own type, OSError, or TypeError for a dtype that numpy lacks
        raise WeightsError(
            f"{path} can't be read as safetensors: {error}; expected a whole .safetensors file of floats; a .pth "
            "or .pt needs code to load: where you trust it, save its tensors by safetensors.torch.save_file"
        ) from error


def _read_by_torch(path: Path) -> dict[str, npt.NDArray[Any]]:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(path).items()
    return {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors}


def check_numbers(tensors: Tensors) -> None:
    """Refuse what can be no network's weights; only counters may be whole numbers.

    Raises:
        WeightsError: a tensor holds nan or infinity, or is not of floats.
    """
    for name, array in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        if array.dtype.kind != "f":
            raise WeightsError(
                f"the tensor {name!r} is of {array.dtype}; weights are of floats; pass them unquantised"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"the tensor {name!r} holds nan or infinity: the weights are damaged; pass others")


def check_is_file(path: Path) -> None:
    """Make sure that there is a file to read.

    Raises:
        WeightsError: there is none, or it is a folder.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise WeightsError(f"{path} {found}; expected a .safetensors file of weights")


def serialise(tensors: Tensors) -> bytes:
    """Return the arrays as a safetensors file; safetensors itself would write strided arrays scrambled."""
    from safetensors.numpy import save

    return bytes(save({name: np.asarray(array, order="C") for name, array in tensors.items()}))


def fingerprint(tensors: Tensors) -> str:
    """Return a SHA-256, in hexadecimal, of the names, types, shapes and values, whatever their order or file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")  # ascontiguousarray would make a scalar a vector
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
