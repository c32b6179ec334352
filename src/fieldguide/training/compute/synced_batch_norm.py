"""Batch normalisation over the shares of all processes, on a CPU too, where torch has none."""

from types import MethodType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.libraries import import_timm
from fieldguide.training.compute.running_statistics import move_running_statistics

_BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def sync_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Make every batch normalisation take its statistics of the whole batch of all processes.

    Names, weights and statistics stay; results are those of one process with the whole batch, but for rounding.

    Args:
        network: changed in place.
        device: that it runs on. On a GPU torch's own layer takes over, by timm, which keeps the activations that
            some of its normalisations hold.
    """
    if device.type == "cuda":
        import_timm()
        from timm.layers import convert_sync_batchnorm

        converted: nn.Module = convert_sync_batchnorm(network)
        return converted
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            # A method, so that a copy of the network has it of the copy's layer.
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
    return network


def _forward(norm: _BatchNorm, values: Tensor) -> Tensor:
    """(N, C, ...) -> (N, C, ...), in training by the statistics of all processes."""
    if not norm.training:
        return type(norm).forward(norm, values)
    normed, mean, variance, count = _Normalise.apply(values, norm.weight, norm.bias, norm.eps)  # type: ignore[no-untyped-call]
    move_running_statistics(norm, mean, variance, count)
    for layer in (getattr(norm, "drop", None), getattr(norm, "act", None)):  # timm's normalisations hold these
        normed = normed if layer is None else layer(normed)
    result: Tensor = normed
    return result


class _Normalise(torch.autograd.Function):
    """Normalisation by the mean and the variance over all processes, each of which has a share of one length.

    The gradient is that of Ioffe and Szegedy (2015, https://arxiv.org/abs/1502.03167, section 3), its sums taken
    over all processes. Gradients of weight and bias stay each process's own, to be averaged like all others.
    """

    @staticmethod
    def forward(
        context: Any,  # noqa: ANN401 - torch's
        values: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Values (N, C, ...) -> the same normalised; mean and variance (C,); how many values they are of."""
        dims = [d for d in range(values.ndim) if d != 1]
        own = torch.stack(torch.var_mean(_exact(values), dims, correction=0))
        shares = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(shares, own)
        variances, means = torch.stack(shares, dim=1)
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + (means - mean).square().mean(dim=0)
        count = values.numel() // values.shape[1] * len(shares)
        context.save_for_backward(values, weight, mean, variance)
        context.eps, context.count = eps, count
        normed = F.batch_norm(values, mean, variance, weight, bias, training=False, eps=eps)
        context.mark_non_differentiable(mean, variance)
        return normed, mean, variance, count

    @staticmethod
    def backward(
        context: Any,  # noqa: ANN401 - torch's
        gradient: Tensor,
        *_: Any,  # noqa: ANN401 - of what can't be differentiated
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """Gradient (N, C, ...) -> those of values, weight and bias."""
        values, weight, mean, variance = context.saved_tensors
        dims = [d for d in range(values.ndim) if d != 1]
        shape = [1, -1] + [1] * (values.ndim - 2)
        scale = torch.rsqrt(variance + context.eps)
        normed = (_exact(values) - mean.view(shape)) * scale.view(shape)
        gradient = _exact(gradient)
        own = torch.stack([gradient.sum(dims), (gradient * normed).sum(dims)])
        total = own.clone()
        dist.all_reduce(total)
        of_bias, of_weight = total.view(2, *shape) / context.count
        by_value = (gradient - of_bias - normed * of_weight) * scale.view(shape)
        if weight is None:
            return by_value.to(values.dtype), None, None, None
        by_value = by_value * weight.view(shape)
        return by_value.to(values.dtype), own[1].to(weight.dtype), own[0].to(weight.dtype), None


def _exact(values: Tensor) -> Tensor:
    """Return values in float32 or, where they are that, float64: sums of fewer bits would be rough."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
