"""The linear head: features to logits to probabilities. Numpy alone, so that answering needs no torch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ROWS = 8192  # rows at a time: memory stays flat for many photos and classes


@dataclass(frozen=True)
class LinearHead:
    """logits = features @ weight.T + bias.

    Args:
        weight: (K, D) float32.
        bias: (K,) float32.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def logits(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Features (N, D) of any float type -> logits (N, K) float32."""
        weight = self.weight.T
        blocks = [
            features[start : start + _ROWS].astype(np.float32) @ weight + self.bias
            for start in range(0, len(features), _ROWS)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.bias)), np.float32)

    def probs(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Features (N, D) -> probabilities (N, K) float32; every row sums to 1."""
        return softmax(self.logits(features))

    def cooled(self, temperature: float) -> "LinearHead":
        """Return the head whose logits are divided by a temperature: above 1 it is less sure of itself."""
        return LinearHead(self.weight / np.float32(temperature), self.bias / np.float32(temperature))


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits (N, K) -> probabilities (N, K); safe for logits of any size."""
    shifted: npt.NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted
