"""Peak memory by batch size, and the largest batch that is predicted to fit."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BatchMemory:
    """What one batch took.

    Args:
        batch_size: images.
        peak_bytes: of the process or, on a graphics card, of what it allocated; None where it did not finish.
        network_bytes: of it, what the network, its images and the step took: above a process that has only
            imported torch.
        step_bytes: of it, what the step took: above the level with the network and the images in place.
        fault: why it did not finish; empty where it did.
        is_out_of_memory: whether it did not finish for want of memory.
    """

    batch_size: int
    peak_bytes: int | None = None
    network_bytes: int | None = None
    step_bytes: int | None = None
    fault: str = ""
    is_out_of_memory: bool = False

    @property
    def fits(self) -> bool:
        """Whether it finished."""
        return self.peak_bytes is not None


@dataclass(frozen=True, kw_only=True)
class MemoryProfile:
    """Peak memory of a network by batch size.

    Args:
        name: of the model.
        size_px: side of the images.
        is_training: whether the step was one of training.
        device: ``cpu`` or ``cuda``.
        limit_bytes: what the process may take: what was asked for, or what the machine had free.
        batches: those that were tried, from the smallest; after one that ran out of memory no larger ones are.
        untried: the sizes that were not.
    """

    name: str
    size_px: int
    is_training: bool
    device: str
    limit_bytes: int
    batches: tuple[BatchMemory, ...]
    untried: tuple[int, ...] = ()

    @property
    def last_good(self) -> int | None:
        """The largest batch that finished."""
        return max((b.batch_size for b in self.batches if b.fits), default=None)

    @property
    def line(self) -> tuple[float, float] | None:
        """Bytes at no image, and bytes an image: the straight line nearest to the peaks, if it rises."""
        points = [(b.batch_size, b.peak_bytes) for b in self.batches if b.peak_bytes is not None]
        if len(points) < 2:
            return None
        mean_size = sum(size for size, _ in points) / len(points)
        mean_peak = sum(peak for _, peak in points) / len(points)
        spread = sum((size - mean_size) ** 2 for size, _ in points)
        slope = sum((size - mean_size) * (peak - mean_peak) for size, peak in points) / spread
        return (mean_peak - slope * mean_size, slope) if slope > 0 else None

    @property
    def largest_batch(self) -> int | None:
        """The largest batch that is predicted to fit, never against what was measured.

        The line is raised until no peak lies above it: the memory that is lost between blocks differs from batch
        to batch, by up to a tenth of the peak.
        """
        if self.line is None:
            return None
        _, per_image = self.line
        at_none = max(b.peak_bytes - per_image * b.batch_size for b in self.batches if b.peak_bytes is not None)
        predicted = max(math.floor((self.limit_bytes - at_none) / per_image), self.last_good or 0)
        too_large = [b.batch_size for b in self.batches if b.is_out_of_memory]
        return min([predicted, *(size - 1 for size in too_large)])

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them."""
        at_none, per_image = self.line or (None, None)
        return {
            "model": self.name,
            "size_px": self.size_px,
            "train": self.is_training,
            "device": self.device,
            "limit_bytes": self.limit_bytes,
            "batches": [vars(batch) for batch in self.batches],
            "untried": list(self.untried),
            "last_good_batch": self.last_good,
            "bytes_without_images": None if at_none is None else round(at_none),
            "bytes_per_image": None if per_image is None else round(per_image),
            "largest_batch": self.largest_batch,
        }
