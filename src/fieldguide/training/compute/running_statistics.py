"""The running statistics of batch normalisation, for layers that take the statistics of a batch themselves."""

import torch
from torch import Tensor, nn


def move_running_statistics(
    norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, mean: Tensor, variance: Tensor, count: int
) -> None:
    """Move a normalisation's running statistics towards a batch's, as torch does.

    Args:
        norm: changed in place; nothing is done to one that tracks none.
        mean: (C,) of the batch.
        variance: (C,) of the batch, its mean square deviation: what is tracked is the unbiased one.
        count: how many values of a channel they are of.
    """
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    with torch.no_grad():
        norm.num_batches_tracked += 1
        share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance * (count / max(count - 1, 1)), share)
