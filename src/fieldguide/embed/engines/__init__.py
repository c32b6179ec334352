"""Engines that run a backbone, one file each, behind one small interface."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fieldguide.errors import EngineError
from fieldguide.registry import Registry
from fieldguide.weights.backbone import Backbone


class Engine(Protocol):
    """Runs a backbone on this machine."""

    @property
    def description(self) -> str:
        """What runs and how, for people: ``"OpenVINO, bfloat16"``."""
        ...

    def embed(self, pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Pictures uint8 (H, W, C), as Preprocess makes them -> features (D,), one a picture, in order.

        Draws a bounded number of pictures ahead of what it has yielded.
        """
        ...


class EngineFactory(Protocol):
    """Makes an engine for a backbone, on this machine."""

    def __call__(self, backbone: Backbone, folder: Path) -> Engine:
        """Make the engine; ``folder``, which may not exist yet, keeps what it converts for the next time."""
        ...


@dataclass(frozen=True)
class EngineFacts:
    """When an engine is taken.

    Args:
        order: of the available ones the lowest is.
        available: says whether it runs on this machine.
    """

    order: int
    available: Callable[[], bool]


ENGINES: Registry[EngineFactory, EngineFacts] = Registry("engine", "fieldguide.embed.engines")


def register_engine(
    name: str, *, order: int, available: Callable[[], bool]
) -> Callable[[EngineFactory], EngineFactory]:
    """Decorate an engine's factory. Of the available ones the lowest ``order`` is taken."""

    def add(factory: EngineFactory) -> EngineFactory:
        ENGINES.add(name, factory, EngineFacts(order, available))
        return factory

    return add


def choose_engine(name: str = "auto") -> str:
    """Return the engine to use: ``name``, or for "auto" the fastest that this machine has.

    A GPU goes first, then OpenVINO, then torch on the CPU (benchmarks/engines.py measures the latter two).

    Raises:
        UnknownNameError: there is no engine of that name.
        EngineError: it does not run on this machine.
    """
    if name != "auto":
        if not ENGINES[name].facts.available():
            usable = ", ".join(e.name for e in ENGINES.entries() if e.facts.available())
            raise EngineError(f"the engine {name!r} does not run on this machine; these do: {usable}")
        return name
    by_order = sorted(ENGINES.entries(), key=lambda entry: entry.facts.order)
    return next(entry.name for entry in by_order if entry.facts.available())  # torch-cpu runs everywhere
