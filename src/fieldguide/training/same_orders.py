"""Whether what lies where a run shall go came of the same orders: then a command given again may take it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fieldguide.data.layout import readable
from fieldguide.errors import TrainingError
from fieldguide.paths import found_anywhere
from fieldguide.training.record.job import Job, load_job
from fieldguide.weights.backbone import is_folder

_ORDERS = ("kind", "model", "weights", "size_px", "fit", "arguments", "unlabelled", "seed", "recipe")
_OF_JOBS = (*_ORDERS, "strict", "data", "data_root", "exclude", "teachers")


def orders(job: Job) -> dict[str, Any]:
    """Return what a guide says of the orders that it came of; of files their names alone."""
    told = {key: getattr(job, key) for key in _ORDERS}
    told |= {"arguments": dict(job.arguments), "recipe": dict(job.recipe)}
    places = {"model": job.model if is_folder(job.model) else None, "weights": job.weights}
    return told | {key: Path(place).absolute().name for key, place in places.items() if place is not None}


def check_guide(facts: Mapping[str, Any], job: Job, data_name: str, target: Path) -> None:
    """Make sure that a guide is what a job would end in.

    Args:
        facts: the guide's.
        job: the orders.
        data_name: what the set of photos is called.
        target: the guide's folder.

    Raises:
        TrainingError: it came of other orders.
    """
    training = facts.get("training", {"kind": "on frozen features"})
    wanted = {**orders(job), "photos": found_anywhere(readable(data_name)), "teachers": job.teachers}
    found = {key: training[key] for key in _ORDERS if key in training}
    found |= {"photos": found_anywhere(facts["data"]["name"])}
    found |= {"teachers": [each["guide"] for each in training.get("teachers", ())]}
    _refuse_difference(target, wanted, found)


def taken_up(job: Job, target: Path) -> Job:
    """Return the job of the run that was begun at ``target``, for the engine that is wanted now.

    Raises:
        TrainingError: the run was begun by other orders than ``job``'s, or can't be taken up.
    """
    begun = load_job(target)
    wanted, found = ({key: each.to_dict()[key] for key in _OF_JOBS} for each in (job, begun))
    _refuse_difference(target, wanted, found)
    return replace(begun, engine=job.engine)


def _refuse_difference(target: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise a TrainingError that names the first difference, of what is known of both."""
    told, known = (_flat(json.loads(json.dumps(values))) for values in (wanted, found))
    comparable = found.keys() | found.get("recipe", {}).keys()
    for name in {**known, **told}:
        if name.partition(" ")[0] in comparable and known.get(name) != told.get(name):
            raise TrainingError(
                f"{target} is of {name} {_said(known.get(name))}, and is now to be of {_said(told.get(name))}; "
                "choose another --output, or remove what is there"
            )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the recipe's settings and the network's arguments each under a name of its own."""
    settings, arguments = values.get("recipe", {}), values.get("arguments", {})
    others = {name: value for name, value in values.items() if name not in ("recipe", "arguments")}
    return {**others, **settings, **{f"arguments {name}": value for name, value in arguments.items()}}


def _said(value: object) -> str:
    if value is None or value == []:
        return "no particular one"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
