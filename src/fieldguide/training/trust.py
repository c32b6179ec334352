"""What training learns of the limits of a head's answers, from photos that it was trained on alone."""

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate.calibration import fit_temperature
from fieldguide.evaluate.familiarity import learn_familiarity
from fieldguide.evaluate.trust import Trust
from fieldguide.head import LinearHead, softmax
from fieldguide.head.cross_validation import spread

KNOWN = 2000  # photos that are kept, at most; for many classes five a class
_A_CLASS = 5


def learn_trust(
    head: LinearHead,
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    asked_probs: npt.NDArray[np.float32],
    asked_labels: npt.NDArray[np.int64],
) -> tuple[LinearHead, Trust]:
    """Make a head's probabilities true, and learn what its photos are like.

    Args:
        head: as it was fitted.
        features: (N, D) of photos that it learnt from, as :func:`known_photos` chooses them, or of all.
        labels: (N,) their classes.
        asked_probs: (M, K) of photos that were not learnt from, by heads like it; where there are none, the head
            stays as it is.
        asked_labels: (M,) their classes.

    Returns:
        The head, its logits divided by a temperature, and the rest.
    """
    temperature = fit_temperature(asked_probs, asked_labels) if len(asked_labels) else 1.0
    logits = np.log(np.maximum(asked_probs, np.finfo(np.float32).tiny))
    probs = softmax((logits / temperature).astype(np.float32))
    of_truth = probs[np.arange(len(asked_labels)), asked_labels]
    known = learn_familiarity(features[known_photos(labels, len(head.bias))])
    return head.cooled(temperature), Trust(known, of_truth, temperature)


def known_photos(labels: npt.NDArray[np.int64], num_classes: int) -> npt.NDArray[np.int64]:
    """Return which photos (M,) of those with labels (N,) stand for all, evenly chosen of each class."""
    return spread(labels, max(KNOWN, _A_CLASS * num_classes))
