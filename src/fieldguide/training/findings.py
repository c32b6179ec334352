"""What a run can tell of its photos at its end, without looking at them again."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.doctor.finding import to_dict
from fieldguide.doctor.quick import CASES_KEPT, quick_findings
from fieldguide.embed import Embedding
from fieldguide.training.photos.lesson_photos import LessonPhotos
from fieldguide.training.photos.pictures import Pictures


def run_findings(
    photos: LessonPhotos, held_out: Embedding, on_validation: npt.NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Return what was found, the worst first, as a guide keeps it.

    Args:
        photos: of the run.
        held_out: of the photos that the guide was judged by.
        on_validation: (M, K) what a network that began with knowledge of other photos said of the validation
            photos; (0, K) of one that began from nothing, whose mistakes are more likely its own than the labels'.
    """
    everything = photos.everything
    place = {name: index for index, name in enumerate(everything.photo_names)}

    def places(pictures: Pictures | None) -> npt.NDArray[np.int64]:
        names = [] if pictures is None else [pictures.images.photo_names[i] for i in pictures.indices.tolist()]
        return np.array([place[name] for name in names], np.int64)

    learnt, judged = places(photos.labelled), places(photos.validation)
    asked = np.array([place[photos.held_out.photo_names[i]] for i in held_out.indices.tolist()], np.int64)
    digests = [
        *photos.labelled.digests,
        *(photos.validation.digests if photos.validation else []),
        *held_out.digests,
    ]
    findings = quick_findings(
        everything,
        np.concatenate([learnt, judged, asked]),
        digests,
        np.arange(len(digests)) >= len(learnt) + len(judged),
        skipped=[(place[photo.name], photo.reason) for photo in [*photos.skipped, *held_out.skipped]],
        asked=judged[: len(on_validation)],
        probs=on_validation,
    )
    return [to_dict(finding, everything.photo_names, at_most=CASES_KEPT) for finding in findings]
