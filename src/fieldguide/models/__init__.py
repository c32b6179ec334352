"""Architectures, one family a file. Importing this package loads no torch; building a network does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fieldguide.errors import UnknownNameError
from fieldguide.registry import Registry, did_you_mean

if TYPE_CHECKING:
    from torch import nn

TIMM_PREFIX = "timm:"

MODELS: Registry[Callable[..., Any]] = Registry("model", "fieldguide.models", besides=f"{TIMM_PREFIX}NAME")
register_model = MODELS.register


def create_model(name: str, **arguments: Any) -> "nn.Module":  # noqa: ANN401 - each factory types its own
    """Build the network called ``name``, freshly initialised.

    Args:
        name: a registered name, such as ``"efficientnet_lite0"``, or ``"timm:NAME"`` for any of timm's.
        arguments: of its factory; every factory takes ``num_classes``, where 0 gives the pooled features
            (N, D) instead of logits.

    Raises:
        UnknownNameError: there is no such model; the message names the near ones.
        ValueError: the factory refuses an argument.
    """
    if not name.startswith(TIMM_PREFIX):
        network: nn.Module = MODELS[name].factory(**arguments)
        return network
    from fieldguide.libraries import import_timm

    timm, timm_name = import_timm(), name.removeprefix(TIMM_PREFIX)
    if not timm.is_model(timm_name):
        hint = did_you_mean(timm_name, timm.list_models()) or "; timm.list_models() lists them"
        raise UnknownNameError(f"timm has no model called {timm_name!r}{hint}")
    return timm.create_model(timm_name, pretrained=False, **arguments)  # type: ignore[no-any-return]
