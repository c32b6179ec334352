"""A training run's state on disk: tensors in safetensors, the rest in JSON, each checkpoint whole or not there.

checkpoints/000001200/tensors.safetensors    network, optimiser, averaged weights
checkpoints/000001200/state.json             the step, what was seen so far, the tensors' checksum
checkpoints/best-000000800/...               likewise: weights that did best on the validation photos, by step 800
"""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fieldguide.errors import TrainingError
from fieldguide.paths import written_whole

FORMAT_VERSION = 1
LAST, BEST = "", "best-"
_KEPT = 2
_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass
class Checkpoint:
    """What a run needs to go on.

    Args:
        step: steps done.
        tensors: by name.
        facts: as JSON holds them.
    """

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint, kind: str = LAST) -> None:
    """Write a checkpoint, whole or not at all, and clear older ones away.

    The last two are kept; of the best weights the new ones, and those that one of the last two refers to.

    Args:
        folder: of the checkpoints; made if it is missing.
        checkpoint: what to write.
        kind: ``LAST``, or ``BEST``.

    Raises:
        TrainingError: it can't be written, as on a full disk; those before it are whole.
    """
    from safetensors.torch import save

    content = save({key: tensor.contiguous() for key, tensor in checkpoint.tensors.items()})
    state = {
        "format_version": FORMAT_VERSION,
        "step": checkpoint.step,
        "sha256": hashlib.sha256(content).hexdigest(),
        **checkpoint.facts,
    }
    target = folder / f"{kind}{checkpoint.step:09d}"
    try:
        with written_whole(target) as draft:
            draft.mkdir()
            _write(draft / _TENSORS, content)
            _write(draft / _STATE, json.dumps(state).encode())
            shutil.rmtree(target, ignore_errors=True)  # a damaged one, or of a run that was killed after it
        _settle(folder)
        for draft in folder.glob(".*.tmp"):  # of a run that was killed as it wrote
            shutil.rmtree(draft, ignore_errors=True)
        for old in _superseded(folder, kind, checkpoint.step):
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise TrainingError(
            f"{target} can't be written: {error.strerror or error}; the checkpoints before it are whole: make "
            "room and go on with --resume"
        ) from error


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint to go on from that is whole; None where there is none.

    Raises:
        TrainingError: there are some and none is whole, or it was written by a newer fieldguide.
    """
    places = _of_kind(folder, LAST)
    return _read_first(places[::-1]) if places else None


def read_best(folder: Path, step: int) -> Checkpoint:
    """Read the best weights of a step.

    Raises:
        TrainingError: they are damaged or missing, or were written by a newer fieldguide.
    """
    return _read_first([folder / f"{BEST}{step:09d}"])


def clear_after(folder: Path, step: int) -> None:
    """Clear away the checkpoints of later steps, of either kind: a run that goes on from here makes its own."""
    for place in _of_kind(folder, LAST) + _of_kind(folder, BEST):
        if _step(place) > step:
            shutil.rmtree(place, ignore_errors=True)


def _read_first(places: list[Path]) -> Checkpoint:
    """Read the first that is whole, of some of one run."""
    faults, run = [], places[0].parent.parent
    for place in places:
        try:
            return _read(place)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            faults.append(f"{place} is damaged: {error}")
    raise TrainingError(f"{'; '.join(faults)}; remove {run}, and start the run again")


def _read(place: Path) -> Checkpoint:
    from safetensors.torch import load

    facts = json.loads((place / _STATE).read_bytes())
    version = facts.pop("format_version")
    if version > FORMAT_VERSION:
        raise TrainingError(
            f"{place} has format {version}; this fieldguide reads formats up to {FORMAT_VERSION}: "
            "pip install --upgrade fieldguide"
        )
    content = (place / _TENSORS).read_bytes()
    if hashlib.sha256(content).hexdigest() != facts.pop("sha256"):
        raise ValueError(f"{_TENSORS} does not match its checksum in {_STATE}")
    return Checkpoint(facts.pop("step"), load(content), facts)


def _of_kind(folder: Path, kind: str) -> list[Path]:
    """Return the checkpoints of a kind, the oldest first."""
    return sorted(p for p in folder.glob(f"{kind}[0-9]*") if p.name.removeprefix(kind).isdigit())


def _superseded(folder: Path, kind: str, step: int) -> list[Path]:
    """Return the checkpoints of a kind that are needed no more, now that there is one of this step."""
    last = _of_kind(folder, LAST)
    if kind == LAST:
        return last[:-_KEPT]
    needed = {step, *map(_best_step, last)}
    return [place for place in _of_kind(folder, BEST) if _step(place) not in needed]


def _step(place: Path) -> int:
    return int(place.name.removeprefix(BEST))


def _best_step(place: Path) -> int | None:
    """Return the step of the best weights that a checkpoint to go on from refers to, where it does."""
    try:
        step: int | None = json.loads((place / _STATE).read_bytes())["state"]["best_step"]
    except (OSError, ValueError, KeyError, TypeError):  # damaged: nothing goes on from it
        return None
    return step


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Have the system write a folder's entries down, where it can: a power cut must not undo a rename."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flatten_optimiser(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Return an optimiser's tensors by name, and its groups' numbers."""
    state = optimiser.state_dict()
    tensors = {
        f"{index}.{key}": value
        for index, values in state["state"].items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }
    return tensors, state["param_groups"]


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Undo :func:`flatten_optimiser`; what goes with a parameter lies in memory as it does."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        laid_out = torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
        state.setdefault(int(index), {})[key] = laid_out
    optimiser.load_state_dict({"state": state, "param_groups": groups})
