"""Weights of torchvision's models: downloaded by torch's hub, or a file."""

import sys
from pathlib import Path
from typing import Any

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError, first_line
from fieldguide.libraries import import_torchvision
from fieldguide.models import TORCHVISION_PREFIX, create_model
from fieldguide.models._torchvision import classifier_name, remove_classifier
from fieldguide.weights.loading import report_fit, unwrapped
from fieldguide.weights.tensors import Tensors, Weights, check_numbers, read_tensors

# torchvision builds these, when pretrained, to scale their images once more themselves: from ImageNet's mean and
# deviation to 0.5 and 0.5, which the weights were trained with. Ours, and theirs as they are built here, don't.
_SCALED_INSIDE = ("googlenet", "inception_v3")


def load_torchvision_weights(name: str, file: Path | None) -> tuple[Weights, Preprocess]:
    """Load the weights of ``torchvision:NAME`` without its classifier, and the preprocessing that belongs to them.

    Args:
        name: with its prefix.
        file: a .safetensors file in torchvision's layout; None to download the pretrained weights.

    Raises:
        UnknownNameError: torchvision has no such model.
        WeightsError: the weights can't be downloaded or read.
    """
    network = create_model(name)
    short_name = name.removeprefix(TORCHVISION_PREFIX)
    tensors = _downloaded(name, _pretrained(short_name).url) if file is None else unwrapped(read_tensors(file))
    heads = (f"{classifier_name(network)}.", "aux", "AuxLogits")
    remove_classifier(network)
    wanted = network.state_dict()
    body = {k: v for k, v in tensors.items() if k in wanted or not k.startswith(heads)}
    check_numbers(body)
    return Weights(lambda: body, report=str(report_fit(network, body)) if file else None), preprocess_of(
        short_name
    )


def preprocess_of(torchvision_name: str) -> Preprocess:
    """Return the preprocessing that torchvision's pretrained weights of that name were trained with."""
    transforms = _pretrained(torchvision_name).transforms()
    mean, std = transforms.mean, transforms.std
    if torchvision_name in _SCALED_INSIDE:
        mean = std = (0.5, 0.5, 0.5)
    return Preprocess(
        size_px=transforms.crop_size[0],
        interpolation="bicubic" if transforms.interpolation.value == "bicubic" else "bilinear",
        mean=tuple(mean),
        std=tuple(std),
    )


def _pretrained(torchvision_name: str) -> Any:  # noqa: ANN401 - torchvision's enumerations share no useful type
    import_torchvision()
    from torchvision.models import get_model_weights

    return get_model_weights(torchvision_name).DEFAULT


def _downloaded(name: str, url: str) -> Tensors:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except Exception as error:  # of urllib, of the disk, or torch's: each has its own kinds
        raise WeightsError(
            f"the weights of {name} could not be downloaded from {url}: {first_line(error)}; offline, fetch "
            f"that file on another computer and put it into {folder}"
        ) from error
    return {key: tensor.numpy() for key, tensor in state.items()}
