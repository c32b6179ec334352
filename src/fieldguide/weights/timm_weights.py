"""Weights of timm's models: downloaded from the Hub by timm, or a file."""

from pathlib import Path
from typing import Any

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.libraries import import_timm
from fieldguide.models import TIMM_PREFIX, create_model
from fieldguide.weights.tensors import Tensors, Weights, read_tensors


def load_timm_weights(name: str, file: Path | None, size_px: int | None) -> tuple[Weights, Preprocess]:
    """Load the weights of ``timm:NAME`` without its classifier, and the preprocessing they were trained with.

    Args:
        name: with its prefix.
        file: a .safetensors file in timm's layout; None to download the pretrained weights.
        size_px: the size that pictures shall have; None for the weights' own.

    Raises:
        UnknownNameError: timm has no such model.
        WeightsError: the weights can't be downloaded or read, or the network can't take pictures of that size.
    """
    network = create_model(name, num_classes=0)
    config: dict[str, Any] = dict(getattr(network, "pretrained_cfg"))  # noqa: B009 - timm adds it
    own_size = config["input_size"][-1]
    if size_px not in (None, own_size) and config.get("fixed_input_size"):
        raise WeightsError(f"{name} takes pictures of {own_size} px only, not of {size_px}; leave out --size")
    tensors = _downloaded(name, config) if file is None else read_tensors(file)
    heads = config.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    body = {k: v for k, v in tensors.items() if not any(k.startswith(f"{head}.") for head in heads)}
    interpolation = config.get("interpolation", "bicubic")
    return Weights(lambda: body), Preprocess(
        size_px=own_size,
        interpolation=interpolation if interpolation in ("bilinear", "nearest", "lanczos") else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _downloaded(name: str, config: dict[str, Any]) -> Tensors:
    where = f"https://huggingface.co/{config['hf_hub_id']}" if config.get("hf_hub_id") else config.get("url")
    if not where:
        raise WeightsError(f"timm has no pretrained weights for {name}; pass a file with --weights")
    try:
        network = import_timm().create_model(name.removeprefix(TIMM_PREFIX), pretrained=True, num_classes=0)
    except Exception as error:  # of the Hub's client, of urllib or of timm: each has its own kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"the weights of {name} could not be downloaded from {where}: {reason}; offline, fetch "
            "model.safetensors from there on another computer and pass it as --weights model.safetensors"
        ) from error
    return {key: tensor.numpy() for key, tensor in network.state_dict().items()}
