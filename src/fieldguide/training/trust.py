"""What training learns of the limits of a head's answers, from photos that it was trained on alone."""

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate.calibration import fit_temperature
from fieldguide.evaluate.familiarity import learn_familiarity
from fieldguide.evaluate.trust import Trust
from fieldguide.head import LinearHead, softmax

_KNOWN = 2000  # photos that are kept, in all
_A_CLASS = 10  # at least, of each class that has them
_ASKED = 5000  # photos that the temperature is fitted on, at most


def learn_trust(
    head: LinearHead,
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    asked_probs: npt.NDArray[np.float32],
    asked_labels: npt.NDArray[np.int64],
    *,
    asked_features: npt.NDArray[np.floating] | None = None,
) -> tuple[LinearHead, Trust]:
    """Make a head's probabilities true, and learn what its photos are like.

    Args:
        head: as it was fitted.
        features: (N, D) of photos that it learnt from, as :func:`known_photos` chooses them, or of all.
        labels: (N,) their classes.
        asked_probs: (M, K) of photos that were not learnt from, by heads like it; where there are none, the head
            stays as it is.
        asked_labels: (M,) their classes.
        asked_features: (Q, D) of photos that the network, too, has not learnt from; None where none was trained.
            Photos that it has learnt from are more like each other than new ones are.

    Returns:
        The head, its logits divided by a temperature, and the rest.
    """
    some = np.linspace(0, len(asked_labels) - 1, min(len(asked_labels), _ASKED)).round().astype(np.int64)
    asked_probs, asked_labels = asked_probs[some], asked_labels[some]
    temperature = fit_temperature(asked_probs, asked_labels) if len(some) else 1.0
    logits = np.log(np.maximum(asked_probs, np.finfo(np.float32).tiny))
    probs = softmax((logits / temperature).astype(np.float32))
    of_truth = probs[np.arange(len(some)), asked_labels]
    known = features[known_photos(labels)]
    return head.cooled(temperature), Trust(learn_familiarity(known, asked_features), of_truth, temperature)


def known_photos(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return which photos (M,) of those with labels (N,) stand for all: as many of each class, evenly chosen."""
    present = np.unique(labels)
    room = max(_A_CLASS, _KNOWN // max(1, len(present)))
    chosen = []
    for label in present:
        members = np.flatnonzero(labels == label)
        wanted = min(len(members), room)
        chosen.append(members[np.linspace(0, len(members) - 1, wanted).round().astype(np.int64)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
