"""How good features are that were learnt without labels: by nearest neighbours, and by a linear head."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from fieldguide.evaluate import evaluate, neighbour_probs
from fieldguide.head.logistic_regression import fit_head
from fieldguide.progress import Progress, silent
from fieldguide.training.compute.processes import Processes
from fieldguide.training.judge import evenly_spaced, outputs_on
from fieldguide.training.lesson import Lesson
from fieldguide.training.photos.unlabelled_photos import UnlabelledPhotos

_KNOWN, _JUDGED = 20_000, 10_000  # photos that have a class, learnt from and held out, at most


def judge_features(
    bodies: Mapping[str, nn.Module],
    photos: UnlabelledPhotos,
    lesson: Lesson,
    processes: Processes,
    *,
    width: int,
    on_progress: Progress = silent,
) -> dict[str, Any] | None:
    """Judge bodies by their features of photos that have a class after all.

    All go the same way: features of photos learnt from, and of photos held out; of the latter, the share that the
    nearest neighbours among the former answer rightly, and the share that a head fitted on them does.

    Args:
        bodies: images -> features (N, width), by their names; on the processes' device.
        photos: of the run.
        lesson: that the photos belong to.
        processes: that share the work.
        width: of the features.
        on_progress: called as the heads are fitted.

    Returns:
        The accuracies by the bodies' names, beside ``num_known`` and ``num_photos``; None where less than two
        classes are known.
    """
    held_out, known = photos.held_out, photos.known
    if held_out is None or len(set(known.labels.tolist())) < 2:
        return None
    names = photos.everything.class_names
    looked_up, judged = evenly_spaced(known, _KNOWN), evenly_spaced(held_out, _JUDGED)
    labels, truth = known.labels[looked_up], held_out.labels[judged]

    def accuracies(body: nn.Module) -> dict[str, float]:
        features_of = partial(outputs_on, body, lesson=lesson, processes=processes, width=width)
        own, others = features_of(known, chosen=looked_up), features_of(held_out, chosen=judged)
        by_neighbours = evaluate(neighbour_probs(own, labels, others, len(names)), truth, names)
        head = fit_head(own, labels, len(names), on_progress=on_progress).head
        by_head = evaluate(head.probs(others), truth, names)
        return {"neighbours_top1": by_neighbours.top1, "linear_top1": by_head.top1}

    return {
        "num_known": len(labels),
        "num_photos": len(truth),
        **{name: accuracies(body) for name, body in bodies.items()},
    }
