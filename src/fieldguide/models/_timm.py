"""timm's models under the interface of ours."""

from typing import TYPE_CHECKING, Any

from fieldguide.errors import UnknownNameError
from fieldguide.libraries import import_timm
from fieldguide.registry import did_you_mean

if TYPE_CHECKING:
    from torch import nn


def create_timm_model(
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    **arguments: Any,  # noqa: ANN401 - timm's
) -> "nn.Module":
    """Build timm's model of that name, freshly initialised.

    Raises:
        UnknownNameError: timm has no such model, or no weights of that tag.
        ValueError: num_classes or in_channels is out of its range.
    """
    from fieldguide.layers.checks import check_arguments

    check_arguments(num_classes=num_classes, in_channels=in_channels)
    timm = import_timm()
    if not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models()) or "; timm.list_models() lists them"
        raise UnknownNameError(f"timm has no model called {name!r}{hint}")
    architecture, _, tag = name.partition(".")
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        known = did_you_mean(tag, tags) or f"; it has {', '.join(tags) or 'none'}"
        raise UnknownNameError(f"timm's {architecture} has no weights tagged {tag!r}{known}")
    sizes = {"num_classes": num_classes, "in_chans": in_channels}
    network: nn.Module = timm.create_model(name, pretrained=False, **sizes, **arguments)
    return network
