"""What a guide knows of the limits of its answers: learnt from the photos that it was trained on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate.familiarity import NEIGHBOURS, Familiarity

_KNOWN, _OF_TRUTH = "trust.known", "trust.of_truth"


@dataclass(frozen=True)
class Trust:
    """What tells how far answers go.

    Args:
        familiarity: whether a photo shows any of the classes.
        of_truth: (M,) float32, the probabilities that photos not learnt from were given in their true classes: by
            them sets of classes are chosen that hold the truth as often as is asked. Empty where there were none.
        temperature: that logits were divided by, so that probabilities are true. The head has it already.
    """

    familiarity: Familiarity
    of_truth: npt.NDArray[np.float32]
    temperature: float

    def to_facts(self) -> dict[str, Any]:
        """Return what guide.json holds of it."""
        return {
            "temperature": self.temperature,
            "unknown_below": self.familiarity.threshold,
            "measure": f"cosine with the known feature that is number {NEIGHBOURS} by it",
        }

    def to_tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what model.safetensors holds of it."""
        return {_KNOWN: self.familiarity.known, _OF_TRUTH: self.of_truth}


def trust_of(facts: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]], width: int) -> Trust | None:
    """Read it from a guide's files, whose features have that width; None of a guide that has none.

    Raises:
        KeyError, TypeError, ValueError: these are damaged.
    """
    if "trust" not in facts:
        return None
    own = facts["trust"]
    familiarity = Familiarity(tensors[_KNOWN], float(own["unknown_below"]))
    known, of_truth = familiarity.known, tensors[_OF_TRUTH]
    if known.ndim != 2 or not len(known) or known.shape[1] != width or of_truth.ndim != 1:
        raise ValueError(
            f"known features of shape {known.shape}, probabilities {of_truth.shape}; features have {width}"
        )
    temperature = float(own["temperature"])
    if not 0 < temperature < math.inf or not math.isfinite(familiarity.threshold):
        raise ValueError(
            f"the temperature is {temperature} and unknown_below {familiarity.threshold}; the one must be above "
            "0, both finite"
        )
    return Trust(familiarity, of_truth, temperature)
