"""Which photos a step learns from: a pure function of the seed and the step, so that a resumed run is exact."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import NO_LABEL
from fieldguide.errors import TrainingError
from fieldguide.training.recipe import Recipe
from fieldguide.training.seeds import Purpose, generator


class Order:
    """The photos of every step. They pass in a new order each epoch; batches run across the ends of epochs.

    So all batches are of one size, which batch normalisation, compiled networks and several processes want.

    Args:
        labels: (N,) class of each photo, or -1.
        batch_size: B, photos a step.
        seed: of the order.
        balance: with ``"sampling"`` photos are drawn anew each epoch, every class as often as another.
    """

    def __init__(
        self,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        balance: Literal["none", "weights", "sampling"] = "none",
    ) -> None:
        self.num_photos = len(labels)
        self.batch_size = batch_size
        self._seed = seed
        self._shares = _equal_shares(labels) if balance == "sampling" else None
        self._epochs: dict[int, npt.NDArray[np.int64]] = {}

    def batch(self, step: int) -> npt.NDArray[np.int64]:
        """Return the indices (B,) of the photos of a step, from 0."""
        start = step * self.batch_size
        first, offset = divmod(start, self.num_photos)
        if offset + self.batch_size <= self.num_photos:
            return self._epoch(first)[offset : offset + self.batch_size]
        last = (start + self.batch_size - 1) // self.num_photos
        stretch = np.concatenate([self._epoch(epoch) for epoch in range(first, last + 1)])
        return stretch[offset : offset + self.batch_size]

    def steps_in(self, epochs: float) -> int:
        """Return how many steps it takes to pass all photos so many times, at least one."""
        return max(1, round(epochs * self.num_photos / self.batch_size))

    def _epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._epochs:
            self._epochs = {number: order for number, order in self._epochs.items() if number >= epoch - 1}
            random = generator(self._seed, Purpose.ORDER, epoch)
            self._epochs[epoch] = (
                random.permutation(self.num_photos)
                if self._shares is None
                else random.choice(self.num_photos, self.num_photos, p=self._shares)
            )
        return self._epochs[epoch]


def _equal_shares(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the probability of each photo, (N,), with which classes come equally often.

    Photos without a class come as often as they do in any order.
    """
    is_labelled = labels != NO_LABEL
    shares = np.full(len(labels), 1 / len(labels))
    counts = np.bincount(labels[is_labelled])
    of_class: npt.NDArray[np.float64] = 1 / counts[labels[is_labelled]]
    shares[is_labelled] = of_class * (is_labelled.mean() / of_class.sum())
    return shares


def shared_batch_size(recipe: Recipe, num_photos: int, num_processes: int) -> int:
    """Return the batch size: the recipe's or, of fewer photos, what they make; each process's parts are equal.

    Raises:
        TrainingError: it can't be shared out evenly, or there are fewer photos than shares.
    """
    shares = num_processes * recipe.accumulate
    if recipe.batch_size % shares:
        raise TrainingError(
            f"batch_size is {recipe.batch_size}, which can't be shared out to {num_processes} processes in "
            f"{recipe.accumulate} parts each; make it a multiple of {shares}"
        )
    size = min(recipe.batch_size, num_photos // shares * shares)
    if not size:
        raise TrainingError(
            f"{num_photos} photos can't be shared out to {shares} parts of a batch ({num_processes} processes, "
            f"accumulate={recipe.accumulate}); set accumulate=1, or start fewer processes"
        )
    return size
