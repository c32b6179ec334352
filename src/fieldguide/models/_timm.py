"""timm's models under the interface of ours."""

from typing import TYPE_CHECKING, Any

from fieldguide.errors import UnknownNameError
from fieldguide.libraries import import_timm
from fieldguide.registry import did_you_mean

if TYPE_CHECKING:
    from torch import nn


def create_timm_model(name: str, *, in_channels: int = 3, **arguments: Any) -> "nn.Module":  # noqa: ANN401 - timm's
    """Build timm's model of that name, freshly initialised.

    Raises:
        UnknownNameError: timm has no such model.
    """
    timm = import_timm()
    if not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models()) or "; timm.list_models() lists them"
        raise UnknownNameError(f"timm has no model called {name!r}{hint}")
    network: nn.Module = timm.create_model(name, pretrained=False, in_chans=in_channels, **arguments)
    return network
