"""Convolution, batch normalisation and activation in fewer passes over memory, for training on a CPU.

There a network of light convolutions waits for memory most of the time: torch writes and reads each map anew for
each layer. Here a large map is cut into slices that stay in the processor's cache while several layers pass over
them. What is computed is the same; only the rounding differs.
"""

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn

from fieldguide.layers import ConvNormAct
from fieldguide.training.compute.running_statistics import move_running_statistics

_SLICE_BYTES = 4 << 20  # of a map: what the cores' own caches hold together
# The statistics are cheaper to get from the input where the output has far more channels, and it far more places.
_WIDENS, _PLACES = 2, 16  # times the channels of the input

_Range = tuple[float, float]


def fuse(network: nn.Module) -> None:
    """Have a network's :class:`~fieldguide.layers.ConvNormAct` train fused, in place, on a CPU.

    Parameters, their names and their values stay, and so does what the network computes when it is not training.
    """
    for module in network.modules():
        if isinstance(module, ConvNormAct) and _range_of(module) and type(module.norm) is nn.BatchNorm2d:
            # a bound method: a copy of the network gets one that is bound to the copy
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _range_of(layers: ConvNormAct) -> _Range | None:
    """Return what the activation clamps to, or None where it does more than that."""
    activation = getattr(layers, "act", None)
    if type(activation) is nn.ReLU6:
        return 0.0, 6.0
    return (0.0, float("inf")) if type(activation) is nn.ReLU else None


def _forward(layers: ConvNormAct, images: Tensor) -> Tensor:
    conv, norm, clamped = layers.conv, layers.norm, _range_of(layers)
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and clamped
    if not _takes_own_statistics(norm):
        return _unfused(layers, images)
    if _widens(conv) and images.numel() >= _PLACES * images.shape[1] ** 2:
        short = images.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else images
        return _widen(short, conv.weight, norm, clamped)
    maps = conv(images)
    if not _has_spread(maps):
        return _unfused(layers, images)  # the norm says what is wrong
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    normalise: Callable[..., Tensor] = _NormAct.apply
    return normalise(maps, norm.weight, norm.bias, norm, clamped)


def _unfused(layers: ConvNormAct, images: Tensor) -> Tensor:
    return cast("Tensor", type(layers).forward(layers, images))  # type: ignore[no-untyped-call]


def _takes_own_statistics(norm: nn.BatchNorm2d) -> bool:
    """Whether a normalisation is in training, of the usual kind, and looks at this process's batch alone."""
    is_usual = norm.affine and norm.track_running_stats and norm.momentum is not None
    return norm.training and is_usual and "forward" not in vars(norm)


def _has_spread(maps: Tensor) -> bool:
    """Whether there is more than one number a channel, which have a variance."""
    return maps.numel() > maps.shape[1]


def _widens(conv: nn.Conv2d) -> bool:
    is_pointwise = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.groups == 1
    return is_pointwise and conv.bias is None and conv.out_channels >= _WIDENS * conv.in_channels


# Normalisation and activation


class _NormAct(torch.autograd.Function):
    """Batch normalisation and clamping of maps (N, C, H, W)."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by position
        ctx: Any,  # noqa: ANN401 - as torch has it
        maps: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm: nn.BatchNorm2d,
        clamped: _Range,
    ) -> Tensor:
        mean, variance = torch.batch_norm_update_stats(
            maps, norm.running_mean, norm.running_var, norm.momentum or 0.0
        )
        output = torch.empty_like(maps)
        for part in _slices(maps):
            normalised = torch.batch_norm(maps[part], weight, bias, mean, variance, False, 0, norm.eps, False)
            torch.clamp(normalised, *clamped, out=output[part])
        ctx.save_for_backward(maps, output, weight, mean, variance)
        ctx.eps, ctx.clamped = norm.eps, clamped
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        maps, output, weight, mean, variance = ctx.saved_tensors
        passed = _pass_unclamped(gradients[0], output, ctx.clamped)
        scale = torch.rsqrt(variance + ctx.eps)
        found = torch.ops.aten.native_batch_norm_backward(
            passed, maps, weight, None, None, mean, scale, True, ctx.eps, list(ctx.needs_input_grad[:3])
        )
        return (*found, None, None)


# Widening: a 1x1 convolution to many more channels


def _widen(images: Tensor, weight: Tensor, norm: nn.BatchNorm2d, clamped: _Range) -> Tensor:
    """Convolve (N, C, H, W) by 1x1 filters (K, C, 1, 1), normalise, clamp; K is much more than C.

    The statistics of the K maps follow from the mean and the covariance of the C: of ``w x`` they are ``w mean``
    and ``w covariance w``. So the normalisation is known before the convolution, and becomes part of its filters.
    """
    rows = images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])
    filters = weight.flatten(1)
    with torch.autocast("cpu", enabled=False):
        moments: Callable[[Tensor], tuple[Tensor, Tensor]] = _Moments.apply
        mean, covariance = moments(rows)
        variance = ((filters @ covariance) * filters).sum(1)
        centre = filters @ mean
        move_running_statistics(norm, centre.detach(), variance.detach(), len(rows))
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        folded = (scale[:, None] * filters)[:, :, None, None].to(images.dtype)
        bias = (norm.bias - scale * centre).to(images.dtype)
        convolve: Callable[..., Tensor] = _ConvClamp.apply
        return convolve(images, folded, bias, clamped)


class _Moments(torch.autograd.Function):
    """Mean (C,) and covariance (C, C), float32, of rows (M, C)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        centred = rows.to(torch.float32, copy=True)
        mean = centred.mean(0)
        centred -= mean
        ctx.save_for_backward(rows, mean)
        return mean, centred.t() @ centred / len(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        rows, mean = ctx.saved_tensors
        of_mean, of_covariance = gradients
        both = (of_covariance + of_covariance.t()) / len(rows)
        level = of_mean / len(rows) - mean @ both
        return torch.addmm(level.to(rows.dtype), rows, both.to(rows.dtype))


class _ConvClamp(torch.autograd.Function):
    """Maps (N, C, H, W) by 1x1 filters (K, C, 1, 1), plus bias (K,), clamped."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, filters: Tensor, bias: Tensor, clamped: _Range) -> Tensor:  # noqa: ANN401
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, filters, bias, [0, 0], [1, 1], [1, 1], 1, "hardtanh", list(clamped), ""
        )
        ctx.save_for_backward(maps, filters, output)
        ctx.clamped = clamped
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        maps, filters, output = ctx.saved_tensors
        passed = _pass_unclamped(gradients[0], output, ctx.clamped)
        needed = list(ctx.needs_input_grad[:3])
        found = torch.ops.aten.convolution_backward(
            passed, maps, filters, [len(filters)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, needed
        )
        return (*found, None)


def _pass_unclamped(gradient: Tensor, output: Tensor, clamped: _Range) -> Tensor:
    """Return the gradient (N, C, H, W) where nothing was clamped, else 0; channels last, as a mean's is not."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, output, *clamped)
    return passed


def _slices(maps: Tensor) -> Iterator[slice]:
    """Yield the slices, along the first axis, that a tensor is worked on in."""
    bytes_each = maps[0].numel() * maps.element_size()
    length = max(1, _SLICE_BYTES // bytes_each)
    return (slice(start, start + length) for start in range(0, len(maps), length))
