"""A backbone: an architecture, its weights, and the preprocessing they were trained with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.data.preprocess import Fit, Preprocess
from fieldguide.errors import WeightsError
from fieldguide.models import TIMM_PREFIX, TORCHVISION_PREFIX, create_model
from fieldguide.paths import expand
from fieldguide.weights.backbone_folder import is_folder_name, read_backbone
from fieldguide.weights.loading import report_fit
from fieldguide.weights.tensors import Weights, check_is_file

if TYPE_CHECKING:
    from torch import nn

DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier. Holding one needs no torch; building its network does.

    Args:
        name: a registered model, ``timm:NAME`` or ``torchvision:NAME``.
        weights: its tensors, without a classifier's.
        preprocess: how photos become its pictures.
        arguments: of the model's factory, besides ``num_classes=0``.
    """

    name: str
    weights: Weights = field(repr=False)
    preprocess: Preprocess
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> "nn.Module":
        """Build the network in evaluation mode: images (N, C, H, W) float32 -> pooled features (N, D).

        Raises:
            WeightsError: the weights don't fit the architecture, or its arguments are none.
        """
        import torch

        try:
            network = create_model(self.name, num_classes=0, **self.arguments)
        except (TypeError, ValueError) as error:
            raise WeightsError(f"{self.name} can't be built with {dict(self.arguments)}: {error}") from error
        tensors = {name: torch.from_numpy(array.copy()) for name, array in self.weights.tensors.items()}
        report = report_fit(network, self.weights.tensors)
        if not report.is_whole:
            raise WeightsError(
                f"the weights don't fit {self.name}: {report}; pass weights of this architecture and layout"
            )
        network.load_state_dict(tensors)
        return network.eval()


def is_folder(name: str) -> bool:
    """Whether the name of a backbone is the path of one, or of a guide."""
    is_network = name == DEFAULT_BACKBONE or name.startswith((TORCHVISION_PREFIX, TIMM_PREFIX))
    return not is_network and is_folder_name(name)


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    *,
    weights: str | Path | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
) -> Backbone:
    """Load a pretrained backbone.

    Args:
        name: ``"efficientnet_lite0"``, whose weights are installed with fieldguide; ``"timm:NAME"`` or
            ``"torchvision:NAME"``, whose weights are downloaded; any registered model, with ``weights``; or the
            folder of a pretrained backbone or of a guide, whose body is taken.
        weights: a .safetensors file to use instead of the pretrained weights.
        size_px: side of the pictures; by default what the weights were trained with.
        fit: ``crop``, ``pad`` or ``squash``; by default ``crop``.

    Raises:
        UnknownNameError: there is no such backbone.
        WeightsError: the weights can't be had, or are no safetensors file.
        ValueError: size_px or fit is out of its range.
    """
    file = None if weights is None else expand(weights)
    if file is not None:
        check_is_file(file)
    arguments: dict[str, Any] = {}
    if name.startswith(TORCHVISION_PREFIX):
        from fieldguide.weights.torchvision_weights import load_torchvision_weights

        loaded, preprocess = load_torchvision_weights(name, file)
    elif name.startswith(TIMM_PREFIX):
        from fieldguide.weights.timm_weights import load_timm_weights

        loaded, preprocess = load_timm_weights(name, file, size_px)
    elif is_folder(name):
        if file is not None:
            raise WeightsError(f"{name} has weights of its own; leave --weights out, or name a network")
        loaded, preprocess, name, arguments = read_backbone(expand(name), size_px)
    else:
        from fieldguide.weights.own_weights import load_own_weights

        loaded, preprocess, arguments = load_own_weights(name, file, size_px)
    changes = {k: v for k, v in {"size_px": size_px, "fit": fit}.items() if v is not None}
    preprocess = replace(preprocess, **changes)  # type: ignore[arg-type]  # checked there
    return Backbone(name, loaded, preprocess, arguments)
