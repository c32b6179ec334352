"""Batch normalisation over the shares of all processes, on a CPU too, where torch has none."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def sync_batch_norm(network: nn.Module) -> None:
    """Make every batch normalisation take its statistics of the whole batch of all processes, in place.

    Names, weights and statistics stay; results are those of one process with the whole batch, but for rounding.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.forward = _Synced(module)  # type: ignore[method-assign]


class _Synced:
    """The forward pass of a batch normalisation. It survives a copy of the network, as averaging weights makes."""

    def __init__(self, norm: nn.Module) -> None:
        self.norm = norm

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        norm = self.norm
        assert isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d)
        if not norm.training:
            return type(norm).forward(norm, images)
        values = images.float()
        dims = [d for d in range(values.ndim) if d != 1]
        shape = [1, -1] + [1] * (values.ndim - 2)
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = all_reduce(values.sum(dims)) / count
        centred = values - mean.view(shape)
        variance = all_reduce(centred.square().sum(dims)) / count
        _update(norm, mean.detach(), variance.detach() * count / max(count - 1, 1))
        normed = centred * torch.rsqrt(variance + norm.eps).view(shape)
        if norm.affine:
            normed = normed * norm.weight.view(shape) + norm.bias.view(shape)
        return normed.to(images.dtype)


def _update(norm: nn.BatchNorm2d | nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics towards a batch's, as torch does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    with torch.no_grad():
        norm.num_batches_tracked += 1
        share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance, share)
