"""Weights of timm's models: downloaded from the Hub by timm, or a file."""

import contextlib
from pathlib import Path
from typing import Any

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError, first_line
from fieldguide.libraries import import_timm
from fieldguide.models import TIMM_PREFIX, create_model
from fieldguide.weights.loading import report_fit, unwrapped
from fieldguide.weights.tensors import Tensors, Weights, check_numbers, read_tensors


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
    tensors = _downloaded(name, config) if file is None else unwrapped(read_tensors(file))
    heads = config.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    # A classifier can have layers before its last, such as a norm, that timm leaves out together with it.
    around = tuple(f"{head.rpartition('.')[0] or head}." for head in heads)
    wanted = network.state_dict()
    body = {k: v for k, v in tensors.items() if k in wanted or not k.startswith(around)}
    check_numbers(body)
    return Weights(lambda: body, report=str(report_fit(network, body)) if file else None), _to_preprocess(config)


def preprocess_of(timm_name: str) -> Preprocess:
    """Return the preprocessing that timm's pretrained weights of that name were trained with."""
    return _to_preprocess(dict(import_timm().models.get_pretrained_cfg(timm_name).to_dict()))


def _to_preprocess(config: dict[str, Any]) -> Preprocess:
    interpolation = config.get("interpolation", "bicubic")
    return Preprocess(
        size_px=config["input_size"][-1],
        interpolation=interpolation if interpolation in ("bilinear", "nearest", "lanczos") else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _downloaded(name: str, config: dict[str, Any]) -> Tensors:
    where = f"https://huggingface.co/{config['hf_hub_id']}" if config.get("hf_hub_id") else config.get("url")
    if not where:
        raise WeightsError(f"timm has no pretrained weights for {name}; pass a file with --weights")
    try:
        if config.get("hf_hub_id"):
            _check_hub_answers(config["hf_hub_id"])
        network = import_timm().create_model(name.removeprefix(TIMM_PREFIX), pretrained=True, num_classes=0)
    except Exception as error:  # of the Hub's client, of urllib or of timm: each has its own kinds
        raise WeightsError(
            f"the weights of {name} could not be downloaded from {where}: {first_line(error)}; offline, fetch "
            "model.safetensors from there on another computer and pass it as --weights model.safetensors"
        ) from error
    return {key: tensor.numpy() for key, tensor in network.state_dict().items()}


def _check_hub_answers(repository: str) -> None:
    """Ask the Hub once, unless it has been asked before: its client asks twelve times, a minute long, and says so.

    Raises:
        Exception: the client's own, where nothing answers.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    repository = repository.partition("@")[0]
    files = ("model.safetensors", "pytorch_model.bin")
    if not any(isinstance(try_to_load_from_cache(repository, file), str) for file in files):
        with contextlib.suppress(HfHubHTTPError):  # an answer, though no file of that name
            get_hf_file_metadata(hf_hub_url(repository, files[0]), timeout=10)
