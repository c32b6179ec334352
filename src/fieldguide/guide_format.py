"""A guide on disk: a folder NAME.guide, or the same zipped. JSON, safetensors, CSV and Parquet; nothing runs.

guide.json           what it is: architecture, classes, preprocessing, where it came from, versions
model.safetensors    backbone and head
metrics.json, history.csv, predictions.parquet, curves.png, report.html    how it was made and how good it is;
                     may be missing
"""

import contextlib
import hashlib
import io
import json
import lzma
import os
import secrets
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy.typing as npt

from fieldguide.errors import GuideError
from fieldguide.paths import neighbours, written_whole
from fieldguide.registry import did_you_mean
from fieldguide.weights.tensors import serialise

FORMAT_VERSION = 1
FACTS, MODEL = "guide.json", "model.safetensors"
RECORDS = ("metrics.json", "history.csv", "predictions.parquet", "curves.png", "report.html")
RUN = "training"  # the folder of an unfinished training run, which the finished guide replaces
RUN_FILES = ("job.json", "history.csv", "checkpoints")
_REQUIRED_FACTS = ("format_version", "architecture", "class_names", "preprocess", "files")
_CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave behind, and nobody misses
_MOST_INFLATED = 200  # times its compressed size: weights hardly shrink, so more is no guide but a bomb
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


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
    path = _follow(path)
    write = _write_zip if path.suffix == ".zip" else _write_folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, contents)
    except OSError as error:
        raise GuideError(
            f"{path} can't be written: {error.strerror or error}; what was there is unharmed"
        ) from error


def check_replaceable(path: Path) -> None:
    """Make sure that a guide can be written to ``path``, and that this destroys nothing but a guide.

    Raises:
        GuideError: something else is there, or its folder can't be written to.
    """
    if path.name in ("", ".."):
        raise GuideError(f"{path} is no name for a guide; choose one, such as flowers.guide")
    path = _follow(path)
    ground = next(p for p in path.absolute().parents if p.exists())
    if not (ground.is_dir() and os.access(ground, os.W_OK)):
        raise GuideError(f"{path} can't be written: {ground} is not a folder that you may write to")
    if path.parent.is_dir():
        with _alone_in(path.parent):
            _recover_alone(path)
            _check_is_a_guide(path)


def _check_is_a_guide(path: Path) -> None:
    """Make sure that what is there, if anything, is a guide and nothing else.

    Raises:
        GuideError: it is something else, or holds something else.
    """
    if not path.exists() or _is_empty(path):
        return
    names = _members(path)
    if path.is_dir() == (path.suffix == ".zip") or not names & {FACTS, RUN}:
        raise GuideError(f"{path} already exists and is not a guide; choose another name, such as {path}.guide")
    own = {FACTS, MODEL, *RECORDS, *_CLUTTER} | ({RUN} if is_a_run(path / RUN) else set())
    foreign = sorted(names - own)
    if foreign:
        raise GuideError(
            f"{path} holds {foreign[0]!r}, which is no part of a guide and would be lost; move that, or choose "
            "another name"
        )


def is_a_run(folder: Path) -> bool:
    """Whether a folder holds a training run and nothing else: a set's own ``training`` is none."""
    return folder.is_dir() and all(p.name in RUN_FILES or p.name.startswith(".") for p in folder.iterdir())


def read_guide(path: Path) -> GuideFiles:
    """Read a guide's files and check that they are whole. Nothing on disk is changed.

    Raises:
        GuideError: it does not exist, lacks a file, is damaged, or has a newer format.
    """
    if path.parent.is_dir():
        with _alone_in(path.parent, but_for_readers=True):
            folder = path if path.exists() else _set_aside(path)  # where a save was killed between its two renames
            if folder.is_dir():
                return _parse(path, lambda name: (folder / name).read_bytes())
    if not path.exists():
        hint = did_you_mean(path.name, neighbours(path))
        raise GuideError(
            f"{path} does not exist{hint}; expected a folder made by 'fieldguide train ... -o NAME.guide'"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return _parse(path, _member_reader(archive))
    except _UNREADABLE as error:
        raise GuideError(
            f"{path} is neither a guide folder nor a zip of one: {error}; the guide goes first"
        ) from error


def _parse(path: Path, read: Callable[[str], bytes]) -> GuideFiles:
    from safetensors.numpy import load

    facts = _parse_facts(path, _required(path, FACTS, read))
    model = _required(path, MODEL, read)
    checksums = facts["files"] if isinstance(facts["files"], dict) else {}
    if hashlib.sha256(model).hexdigest() != checksums.get(MODEL):
        raise GuideError(
            f"{path} is damaged: {MODEL} does not match its checksum in {FACTS}; copy the guide again"
        )
    try:
        tensors = load(model)
    except Exception as error:  # its own type, or TypeError for a dtype that numpy lacks
        raise GuideError(f"{path} is damaged: {MODEL} can't be read: {error}") from error
    records: dict[str, bytes] = {}
    for name in RECORDS:
        try:
            records[name] = read(name)
        except (KeyError, *_UNREADABLE):  # a guide answers without its records
            continue
    return GuideFiles(facts, tensors, records)


def _required(path: Path, name: str, read: Callable[[str], bytes]) -> bytes:
    try:
        return read(name)
    except (FileNotFoundError, KeyError) as error:
        raise GuideError(f"{path} is not a whole guide: it lacks {name}; the guide goes first") from error
    except _UNREADABLE as error:
        raise GuideError(f"{path} is damaged: {name} can't be read: {error}") from error


def _parse_facts(path: Path, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
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
    """Read what lies beside the outermost guide.json, whether or not that lies in a folder inside the zip."""
    names = [name for name in archive.namelist() if name.rpartition("/")[2] == FACTS]
    folder = min(names, key=lambda name: name.count("/"), default=FACTS).removesuffix(FACTS)

    def read(name: str) -> bytes:
        member = archive.getinfo(folder + name)
        if member.file_size > _MOST_INFLATED * max(member.compress_size, 1024):
            raise zipfile.BadZipFile(f"{member.compress_size} bytes that inflate to {member.file_size}")
        return archive.read(member)

    return read


def _members(path: Path) -> set[str]:
    """Return the names of the files in a guide's folder, or its zip; nothing of a file that is no zip."""
    if path.is_dir():
        return {p.name for p in path.iterdir()}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")}
    except _UNREADABLE:
        return set()
    wrapped = len({m.parts[0] for m in members}) == 1 and all(len(m.parts) == 2 for m in members)
    return {m.name if wrapped else str(m) for m in members}


def _is_empty(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0


def _write_folder(path: Path, contents: dict[str, bytes]) -> None:
    draft = _draft(path)
    draft.mkdir()
    try:
        for name, content in contents.items():
            _write_file(draft / name, content)
        with _alone_in(path.parent):
            _recover_alone(path)
            if path.exists():  # a folder can't be renamed over another; _recover mends a kill between these two
                path.rename(_set_aside(path))
            draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _recover(path)


def _write_zip(path: Path, contents: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with written_whole(path) as draft:
        _write_file(draft, buffer.getvalue())


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _follow(path: Path) -> Path:
    """Return what a link leads to: the guide there is replaced, and not the link."""
    return path.resolve() if path.is_symlink() else path


def _draft(path: Path) -> Path:
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"


def _set_aside(path: Path) -> Path:
    return path.parent / f".{path.name}.previous"


def _recover(path: Path) -> None:
    """Finish or undo an interrupted save: clear the old guide away where the new one stands, else put it back."""
    if _set_aside(path).is_dir():
        with _alone_in(path.parent):
            _recover_alone(path)


def _recover_alone(path: Path) -> None:
    aside = _set_aside(path)
    if not aside.is_dir():
        return
    if path.exists():
        waste = aside.rename(_draft(path))  # what is set aside is always whole, even if this is killed too
        shutil.rmtree(waste, ignore_errors=True)
    else:
        aside.rename(path)


@contextlib.contextmanager
def _alone_in(folder: Path, *, but_for_readers: bool = False) -> Iterator[None]:
    """Keep other processes that save into the folder waiting, where the system can lock one."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network drives have no locks
            fcntl.flock(handle, fcntl.LOCK_SH if but_for_readers else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which lets go of the lock, as a kill does
