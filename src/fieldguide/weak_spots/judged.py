"""Which photos of a set were judged."""

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.evaluate import Answers


def judged_photos(answers: Answers, images: ImageSet) -> npt.NDArray[np.int64]:
    """Return which photos (N,) of a set the answers are to, in their order."""
    place = {name: index for index, name in enumerate(images.photo_names)}
    return np.array([place[name] for name in answers.photo_names], np.int64)
