"""A backbone on disk: what ``fieldguide pretrain`` makes, and ``--backbone`` takes; a guide's folder serves, too.

backbone.json        what it is: architecture, preprocessing, how it was made, checksum of the model
model.safetensors    backbone.*: the network without its classifier
history.csv          of its training; may be missing
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import WeightsError
from fieldguide.models import MODELS, create_model
from fieldguide.paths import expand, neighbours, written_whole
from fieldguide.registry import did_you_mean
from fieldguide.weights.tensors import Tensors, Weights, serialise

if TYPE_CHECKING:
    from fieldguide.weights.backbone import Backbone

FORMAT_VERSION = 1
FACTS, MODEL, HISTORY = "backbone.json", "model.safetensors", "history.csv"
_GUIDE = "guide.json"
_PREFIX = "backbone."  # of the tensors' names, as in a guide


def is_folder_name(name: str) -> bool:
    """Whether the name of a backbone is a path: it has a separator, or there is a folder and no such model."""
    folder = expand(name)
    if "/" in name or os.sep in name or any((folder / file).is_file() for file in (FACTS, _GUIDE)):
        return True
    return folder.is_dir() and name not in MODELS


def read_backbone(folder: Path, size_px: int | None = None) -> tuple[Weights, Preprocess, str, dict[str, Any]]:
    """Return a backbone's weights, which are read when they are asked for, its preprocessing, name and arguments.

    Args:
        folder: of the backbone, or of a guide.
        size_px: the size that pictures shall have; None for the backbone's own.

    Raises:
        WeightsError: there is no backbone, it is damaged or of a newer format, or its network does not take
            pictures of size_px. (A wrong checksum of the tensors raises on the first read.)
    """
    facts = _read_facts(folder)
    try:
        name, arguments = facts["architecture"]["name"], facts["architecture"]["arguments"]
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise TypeError(f"the architecture {name!r} with the arguments {arguments!r}")
        preprocess = Preprocess.from_dict(facts["preprocess"])
        fingerprint, checksum = facts["architecture"]["weights_fingerprint"], facts["files"][MODEL]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
    if size_px not in (None, preprocess.size_px):
        _check_size(name, arguments, int(size_px or 0), preprocess.size_px)
    return Weights(lambda: _read_tensors(folder, checksum), fingerprint), preprocess, name, arguments


def write_backbone(folder: Path, backbone: "Backbone", facts: Mapping[str, Any], history: bytes) -> None:
    """Write a backbone; it is there, and whole, once its backbone.json is.

    Args:
        folder: made if it is missing.
        backbone: to write.
        facts: how it was made.
        history: of its training, as CSV.

    Raises:
        WeightsError: it can't be written.
    """
    tensors = {_PREFIX + name: array for name, array in backbone.weights.tensors.items()}
    model = serialise(tensors)
    architecture = {
        "name": backbone.name,
        "arguments": dict(backbone.arguments),
        "weights_fingerprint": backbone.weights.fingerprint,
    }
    whole = {
        "format_version": FORMAT_VERSION,
        **facts,
        "architecture": architecture,
        "preprocess": backbone.preprocess.to_dict(),
        "files": {MODEL: hashlib.sha256(model).hexdigest()},
    }
    contents = {HISTORY: history, MODEL: model, FACTS: json.dumps(whole, ensure_ascii=False, indent=2).encode()}
    try:
        for name, content in contents.items():
            with written_whole(folder / name) as draft, draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise WeightsError(
            f"{folder} can't be written: {error.strerror or error}; make room, and go on with --resume"
        ) from error


def _read_facts(folder: Path) -> dict[str, Any]:
    path = next((folder / name for name in (FACTS, _GUIDE) if (folder / name).is_file()), None)
    if path is None:
        hint = "" if folder.exists() else did_you_mean(folder.name, neighbours(folder))
        found = f"holds neither {FACTS} nor {_GUIDE}" if folder.is_dir() else f"is no folder that exists{hint}"
        raise WeightsError(
            f"{folder} {found}; expected the folder of a guide, or of a backbone made by 'fieldguide pretrain'"
        )
    try:
        facts = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{folder} is damaged: {path.name} can't be read: {error}") from error
    version = facts.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise WeightsError(f"{folder} is damaged: {path.name} states no format version")
    if version > FORMAT_VERSION:
        raise WeightsError(
            f"{folder} has format {version}; this fieldguide reads formats up to {FORMAT_VERSION}: upgrade with "
            "pip install --upgrade fieldguide"
        )
    return facts


def _read_tensors(folder: Path, checksum: str) -> Tensors:
    from safetensors.numpy import load

    try:
        content = (folder / MODEL).read_bytes()
    except OSError as error:
        raise WeightsError(f"{folder / MODEL} can't be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise WeightsError(f"{folder} is damaged: {MODEL} does not match its checksum; copy the folder again")
    return {n.removeprefix(_PREFIX): array for n, array in load(content).items() if n.startswith(_PREFIX)}


def _check_size(name: str, arguments: Mapping[str, Any], size_px: int, own_px: int) -> None:
    """Refuse a size that the network, as it was built, does not take."""
    import torch

    if "size_px" in arguments:
        raise WeightsError(f"{name} was built for {own_px} px, not {size_px}; leave --size out")
    with torch.device("meta"):
        network = create_model(name, num_classes=0, **arguments)
    try:
        if input_size := getattr(network, "input_size", None):
            input_size.check(torch.empty(1, 1, size_px, size_px, device="meta"))
    except ValueError as error:
        raise WeightsError(f"{name}: {error}; choose another --size") from error
