"""How well a network does on pictures, in a run's arithmetic and by all of its processes."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fieldguide.evaluate import Evaluation, evaluate
from fieldguide.head import softmax
from fieldguide.training.compute.arithmetic import autocast
from fieldguide.training.compute.processes import Processes
from fieldguide.training.lesson import Lesson
from fieldguide.training.photos.pictures import Pictures

_FEWEST, _MOST = 8, 256  # pictures evaluated together
_PIXELS_AT_ONCE = _MOST * 64**2


def is_better(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    """Whether of two (top-1, log loss) the first is better: more photos right or, of as many, a lower loss."""
    return (ours[0], -ours[1]) > (theirs[0], -theirs[1])


def judge_pictures(
    network: nn.Module, pictures: Pictures, lesson: Lesson, processes: Processes, *, at_most: int | None = None
) -> Evaluation:
    """Judge a network on pictures as they are, in the lesson's arithmetic; it is left in evaluation mode.

    Args:
        network: on the processes' device.
        pictures: at the lesson's full size, or larger: they are made smaller.
        lesson: that the pictures belong to.
        processes: that share the work.
        at_most: so many of them, evenly chosen; None for all.
    """
    chosen = evenly_spaced(pictures, at_most)
    probs = probs_on(network, pictures, lesson, processes, chosen=chosen)
    return processes.once(lambda: evaluate(probs, pictures.labels[chosen], lesson.class_names))


def probs_on(
    network: nn.Module,
    pictures: Pictures,
    lesson: Lesson,
    processes: Processes,
    *,
    chosen: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.float32]:
    """Return what a network says of chosen pictures (n,), or of all: probabilities (n, K); as `judge_pictures`."""
    chosen = evenly_spaced(pictures, None) if chosen is None else chosen
    return softmax(outputs_on(network, pictures, lesson, processes, chosen=chosen, width=len(lesson.class_names)))


def evenly_spaced(pictures: Pictures, at_most: int | None) -> npt.NDArray[np.int64]:
    """Return the indices of so many pictures, evenly chosen; of all, where they are no more."""
    count = min(len(pictures), at_most or len(pictures))
    return np.linspace(0, len(pictures) - 1, count).round().astype(np.int64)


def evaluation_batch_size(size_px: int) -> int:
    """Return how many pictures are evaluated together: the larger they are, the fewer, for memory's sake."""
    return max(_FEWEST, min(_MOST, _PIXELS_AT_ONCE // size_px**2))


def outputs_on(
    network: nn.Module,
    pictures: Pictures,
    lesson: Lesson,
    processes: Processes,
    *,
    chosen: npt.NDArray[np.int64],
    width: int,
) -> npt.NDArray[np.float32]:
    """Return what a network makes, (n, width), of chosen pictures (n,); see :func:`judge_pictures`."""
    own = chosen[processes.rank :: processes.count]
    size = evaluation_batch_size(lesson.size_px)
    batches = [own[i : i + size] for i in range(0, len(own), size)]
    network.eval()
    rows = [torch.zeros((0, width), device=processes.device)]
    with torch.inference_mode(), autocast(lesson.arithmetic, processes.device):
        rows += [network(lesson.augment.plain(batch)).float() for batch in pictures.batches(batches)]
    outputs: npt.NDArray[np.float32] = processes.gather(torch.cat(rows), len(chosen)).cpu().numpy()
    return outputs
