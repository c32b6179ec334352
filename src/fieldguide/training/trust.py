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
) -> tuple[LinearHead, Trust | None]:
    """Make a head's probabilities true, and learn what its photos are like.

    Args:
        head: as it was fitted.
        features: (N, D) of the photos that it learnt from.
        labels: (N,) their classes.
        asked_probs: (M, K) of photos that were not learnt from, by heads like it.
        asked_labels: (M,) their classes.

    Returns:
        The head, its logits divided by a temperature, and the rest; None where no photo was asked about.
    """
    if not len(asked_labels):
        return head, None
    temperature = fit_temperature(asked_probs, asked_labels)
    logits = np.log(np.maximum(asked_probs, np.finfo(np.float32).tiny))
    probs = softmax((logits / temperature).astype(np.float32))
    known = spread(labels, max(KNOWN, _A_CLASS * asked_probs.shape[1]))
    trust = Trust(
        learn_familiarity(features[known]), probs[np.arange(len(asked_labels)), asked_labels], temperature
    )
    return head.cooled(temperature), trust
