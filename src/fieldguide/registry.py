"""Names and what they stand for. A plug-in is a file: importing the folder's modules registers them."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fieldguide.errors import UnknownNameError

T = TypeVar("T", bound=Callable[..., Any])
Facts = TypeVar("Facts")


def did_you_mean(name: str, known: Iterable[str], *, at_most: int = 3) -> str:
    """Return ``", did you mean 'a' or 'b'?"``, or an empty string where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=at_most, cutoff=0.6)
    return f", did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


@dataclass(frozen=True)
class Entry(Generic[T, Facts]):
    """One registered name: its factory and the facts stated beside it."""

    name: str
    factory: T
    facts: Facts


class Registry(Generic[T, Facts]):
    """Factories and facts by name, found by importing every module of one package on first use.

    Args:
        kind: what the names name, for messages: ``"model"``.
        package: the package whose modules register themselves: ``"fieldguide.models"``.
        listing: says where the names are listed, for messages; without it the message lists them.
    """

    def __init__(self, kind: str, package: str, *, listing: str = "") -> None:
        self.kind = kind
        self._package = package
        self._listing = listing
        self._entries: dict[str, Entry[T, Facts]] = {}
        self._discovered = False

    def add(self, name: str, factory: T, facts: Facts) -> None:
        """Make a factory known by ``name``.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice; names must be unique")
        self._entries[name] = Entry(name, factory, facts)

    def __getitem__(self, name: str) -> Entry[T, Facts]:
        """Return the entry of that name.

        Raises:
            UnknownNameError: nothing is registered under it; the message names the near ones.
        """
        try:
            self._discover(until=name)
            return self._entries[name]
        except KeyError:
            listing = self._listing or f"known: {', '.join(self.names())}"
            hint = did_you_mean(name, self._entries) or f"; {listing}"
            raise UnknownNameError(f"no {self.kind} is called {name!r}{hint}") from None

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        self._discover()
        return sorted(self._entries)

    def entries(self) -> list[Entry[T, Facts]]:
        """Return every entry, sorted by name."""
        return [self._entries[name] for name in self.names()]

    def _discover(self, until: str | None = None) -> None:
        """Import the package's modules: all of them, or until one has registered that name."""
        if self._discovered or until in self._entries:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
                if until in self._entries:
                    return
        self._discovered = True
