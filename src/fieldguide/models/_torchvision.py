"""torchvision's classification models under the interface of ours."""

from typing import TYPE_CHECKING, Any

from fieldguide.errors import UnknownNameError
from fieldguide.libraries import import_torchvision
from fieldguide.registry import did_you_mean

if TYPE_CHECKING:
    from torch import nn

# Their auxiliary classifiers would make them return tuples, and their own initialisation takes minutes.
_WITH_AUXILIARIES = ("googlenet", "inception_v3")


def create_torchvision_model(
    name: str,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    **arguments: Any,  # noqa: ANN401 - torchvision's
) -> "nn.Module":
    """Build torchvision's classification model of that name, freshly initialised.

    Raises:
        UnknownNameError: torchvision has no such model.
        ValueError: num_classes or in_channels is out of its range.
    """
    from fieldguide.layers.checks import check_arguments

    check_arguments(num_classes=num_classes, in_channels=in_channels)
    import_torchvision()
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        hint = did_you_mean(name, known) or "; torchvision.models.list_models() lists them"
        raise UnknownNameError(f"torchvision has no classification model called {name!r}{hint}")
    if name in _WITH_AUXILIARIES:
        arguments = {"aux_logits": False, "init_weights": False, **arguments}
    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes or 1000, **arguments)
    if not num_classes:
        remove_classifier(network)
    if in_channels != 3:
        _replace_first_convolution(network, in_channels)
    return network


def input_size_px(name: str) -> int:
    """Return the side of the images that torchvision's weights of that name were trained for."""
    import_torchvision()
    from torchvision.models import get_model_weights

    return int(get_model_weights(name).DEFAULT.transforms().crop_size[0])


def classifier_name(network: "nn.Module") -> str:
    """Return the name of the layer that gives the logits: the last linear layer or, without one, convolution."""
    from torch import nn

    main = [(str(name), m) for name, m in network.named_modules() if not name.lower().startswith("aux")]
    linear = [name for name, m in main if isinstance(m, nn.Linear)]
    return linear[-1] if linear else [name for name, m in main if isinstance(m, nn.Conv2d)][-1]


def remove_classifier(network: "nn.Module") -> None:
    """Put Identity in the place of the layer that gives the logits."""
    from torch import nn

    parent, _, child = classifier_name(network).rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())


def _replace_first_convolution(network: "nn.Module", in_channels: int) -> None:
    from torch import nn

    name, conv = next((name, m) for name, m in network.named_modules() if isinstance(m, nn.Conv2d))
    geometry: dict[str, Any] = {key: getattr(conv, key) for key in ("kernel_size", "stride", "padding")}
    fresh = nn.Conv2d(in_channels, conv.out_channels, **geometry, bias=conv.bias is not None)
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, fresh)
