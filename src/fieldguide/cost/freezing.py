"""Freezing parts of a network by name: frozen parameters get no gradient and are not trained."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fieldguide.errors import UnknownNameError
from fieldguide.introspection import classifier_name
from fieldguide.registry import did_you_mean

if TYPE_CHECKING:
    from torch import nn

FEATURES = "features"


def freeze(network: "nn.Module", patterns: "str | Iterable[str]") -> None:
    """Freeze the modules that match, with all that is in them.

    Args:
        network: its parameters are changed: ``requires_grad`` becomes False.
        patterns: dotted names of modules or parameters, with wildcards: ``"stem"``, ``"stages.[01]"``,
            ``"*.norm"``. ``"features"`` is, in every network, all but the outermost module that gives the
            logits: ours is ``classifier``, any other network's is taken to be that of the last linear layer.

    Raises:
        UnknownNameError: nothing matches a pattern; the message names near ones.
    """
    frozen: list[str] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matched = _features(network) if pattern == FEATURES else _matching(network, pattern)
        if not matched:
            raise UnknownNameError(_unmatched(network, pattern))
        frozen += matched
    for name, parameter in network.named_parameters():
        if any(name == m or name.startswith(f"{m}.") for m in frozen):
            parameter.requires_grad_(False)


def _features(network: "nn.Module") -> list[str]:
    """Return the names of the outermost modules and parameters, but for the one that gives the logits."""
    outermost = [name for name, _ in network.named_children()]
    outermost += [name for name, _ in network.named_parameters(recurse=False)]
    return [name for name in outermost if name != _classifier(network)]


def _classifier(network: "nn.Module") -> str | None:
    """Return the name of the outermost module that holds the classifier; None where the network has none."""
    name = classifier_name(network)
    return None if name is None else name.partition(".")[0]


def _matching(network: "nn.Module", pattern: str) -> list[str]:
    return [name for name in _names(network) if fnmatchcase(name, pattern)]


def _names(network: "nn.Module") -> list[str]:
    modules = [name for name, _ in network.named_modules() if name]
    return modules + [name for name, _ in network.named_parameters()]


def _unmatched(network: "nn.Module", pattern: str) -> str:
    outermost = [name for name, _ in network.named_children()]
    hint = did_you_mean(pattern, [FEATURES, *_names(network)])
    listing = f"; its outermost modules are {', '.join(outermost)}" if outermost else ""
    return f"nothing to freeze is called {pattern!r}{hint or listing}"
