"""A guide on disk: a folder NAME.guide, or the same zipped. JSON, safetensors, CSV and Parquet; nothing runs.

guide.json           what it is: architecture, classes, preprocessing, where it came from, versions
model.safetensors    backbone and head
metrics.json, history.csv, predictions.parquet    how it was made and how good it is; may be missing
"""

import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fieldguide.errors import GuideError
from fieldguide.weights.tensors import serialise

FORMAT_VERSION = 1
FACTS, MODEL = "guide.json", "model.safetensors"
RECORDS = ("metrics.json", "history.csv", "predictions.parquet")
_REQUIRED_FACTS = ("format_version", "architecture", "class_names", "preprocess", "files")


@dataclass
class GuideFiles:
    """What the files of a guide hold.

    Args:
        facts: guide.json.
        tensors: model.safetensors, by name.
        records: the other files' bytes, by name.
    """

    facts: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]]
    records: dict[str, bytes] = field(default_factory=dict)


def write_guide(path: Path, files: GuideFiles) -> None:
    """Write a guide, whole or not at all; a guide that is there is replaced.

    Args:
        path: of the folder, or of a zip where it ends in ``.zip``.
        files: what to write; the format version and checksum are added to its facts.

    Raises:
        GuideError: something else is there, or it can't be written.
    """
    model = serialise(files.tensors)
    facts = {
        "format_version": FORMAT_VERSION,
        **files.facts,
        "files": {MODEL: hashlib.sha256(model).hexdigest()},
    }
    contents = {
        FACTS: json.dumps(facts, ensure_ascii=False, indent=2).encode(),
        MODEL: model,
        **files.records,
    }
    check_replaceable(path)
    write = _write_zip if path.suffix == ".zip" else _write_folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, contents)
    except OSError as error:
        raise GuideError(
            f"{path} can't be written: {error.strerror or error}; what was there is unharmed"
        ) from error


def check_replaceable(path: Path) -> None:
    """Make sure that writing a guide to ``path`` destroys nothing but a guide.

    Raises:
        GuideError: something else is there.
    """
    _recover(path)
    if path.is_dir():
        is_ours = (path / FACTS).is_file() or not any(path.iterdir())
    else:
        is_ours = path.suffix == ".zip" or not path.exists()
    if not is_ours:
        raise GuideError(f"{path} is there and is not a guide; choose another name, such as {path}.guide")


def read_guide(path: Path) -> GuideFiles:
    """Read a guide's files and check that they are whole.

    Raises:
        GuideError: it is not there, lacks a file, is damaged, or has a newer format.
    """
    _recover(path)
    if path.is_dir():
        files = _parse(path, lambda name: (path / name).read_bytes())
    elif path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                files = _parse(path, _member_reader(archive))
        except zipfile.BadZipFile as error:
            raise GuideError(f"{path} is neither a guide folder nor a zip of one: {error}") from error
    else:
        raise GuideError(f"{path} is not there; expected a folder made by 'fieldguide train ... -o NAME.guide'")
    return files


def _parse(path: Path, read: Callable[[str], bytes]) -> GuideFiles:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    facts = _parse_facts(path, _required(path, FACTS, read))
    model = _required(path, MODEL, read)
    if hashlib.sha256(model).hexdigest() != facts["files"].get(MODEL):
        raise GuideError(
            f"{path} is damaged: {MODEL} does not match its checksum in {FACTS}; copy the guide again"
        )
    try:
        tensors = load(model)
    except (SafetensorError, KeyError, ValueError) as error:
        raise GuideError(f"{path} is damaged: {MODEL} can't be read: {error}") from error
    records: dict[str, bytes] = {}
    for name in RECORDS:
        try:
            records[name] = read(name)
        except (OSError, KeyError):  # a guide answers without its records
            continue
    return GuideFiles(facts, tensors, records)


def _required(path: Path, name: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(name)
    except (FileNotFoundError, KeyError) as error:
        raise GuideError(f"{path} is not a whole guide: it lacks {name}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise GuideError(f"{path} is damaged: {name} can't be read: {error}") from error


def _parse_facts(path: Path, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except ValueError as error:
        raise GuideError(f"{path} is damaged: {FACTS} is not JSON: {error}") from error
    version = facts.get("format_version") if isinstance(facts, dict) else None
    if not isinstance(version, int) or version < 1:
        raise GuideError(f"{path} is damaged: {FACTS} states no format version")
    if version > FORMAT_VERSION:
        raise GuideError(
            f"{path} has format {version}, made by fieldguide {facts.get('fieldguide_version', '?')}; this one "
            f"reads formats up to {FORMAT_VERSION}: upgrade with pip install --upgrade fieldguide"
        )
    missing = [key for key in _REQUIRED_FACTS if key not in facts]
    if missing:
        raise GuideError(f"{path} is damaged: {FACTS} lacks {', '.join(missing)}")
    return dict(facts)


def _member_reader(archive: zipfile.ZipFile) -> Callable[[str], bytes]:
    """Read by bare name, whether or not the files lie in a folder inside the zip."""
    by_name = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist() if not info.is_dir()}
    return lambda name: archive.read(by_name[name])


def _write_folder(path: Path, contents: dict[str, bytes]) -> None:
    draft = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    draft.mkdir()
    try:
        for name, content in contents.items():
            with (draft / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if path.exists():  # a folder can't be renamed over another; a kill between is mended by _recover
            path.rename(_set_aside(path))
        draft.rename(path)
        shutil.rmtree(_set_aside(path), ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _recover(path)


def _write_zip(path: Path, contents: dict[str, bytes]) -> None:
    draft = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    try:
        with draft.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _set_aside(path: Path) -> Path:
    return path.parent / f".{path.name}.previous"


def _recover(path: Path) -> None:
    """Put back a guide that was set aside by a save which did not live to finish."""
    aside = _set_aside(path)
    if aside.is_dir() and not path.exists():
        aside.rename(path)
