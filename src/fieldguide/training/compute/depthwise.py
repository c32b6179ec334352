"""The gradients of depthwise convolutions in bfloat16, which oneDNN is slow at on a CPU."""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def hasten_depthwise(network: nn.Module) -> None:
    """Have a network's depthwise convolutions take their images' gradients as convolutions, in bfloat16, in place.

    oneDNN takes twice as long for that gradient as for a convolution of the outputs' gradient, which comes to the
    same; at a stride of 2, where the latter has zeros between for the steps left out, nine times.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_depthwise(module):
            # a bound method: a copy of the network gets one that is bound to the copy
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _is_depthwise(conv: nn.Conv2d) -> bool:
    if conv.groups == 1 or conv.groups != conv.in_channels or conv.padding_mode != "zeros":
        return False
    if isinstance(conv.padding, str) or max(conv.dilation) > 1:
        return False
    return all(padding < side for padding, side in zip(conv.padding, conv.kernel_size, strict=True))


def _forward(conv: nn.Conv2d, images: Tensor) -> Tensor:
    if not (torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
        return type(conv).forward(conv, images)
    short = [None if t is None else t.bfloat16() for t in (images, conv.weight, conv.bias)]
    convolve: Callable[..., Tensor] = _Depthwise.apply
    with torch.autocast("cpu", enabled=False):
        return convolve(*short, list(conv.stride), list(conv.padding))


class _Depthwise(torch.autograd.Function):
    """Maps (N, C, H, W) by filters (C m, 1, kernel height, kernel width), without dilation."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by position
        ctx: Any,  # noqa: ANN401 - as torch has it
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, bias, stride, padding, groups=images.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        images, weight = ctx.saved_tensors
        of_images = None
        if ctx.needs_input_grad[0]:
            of_images = _gradient_of_images(gradients[0], images.shape, weight, ctx.stride, ctx.padding)
        geometry = (ctx.stride, ctx.padding, [1, 1], False, [0, 0], images.shape[1])
        needed = [False, *ctx.needs_input_grad[1:3]]
        _, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradients[0], images, weight, [len(weight)], *geometry, needed
        )
        return of_images, of_weight, of_bias, None, None


def _gradient_of_images(
    gradient: Tensor, shape: torch.Size, weight: Tensor, stride: list[int], padding: list[int]
) -> Tensor:
    """Return the gradient (N, C, H, W) of a convolution's images, from that of its outputs (N, C m, h, w)."""
    count, channels = shape[:2]
    kernel = weight.shape[2:]
    if max(stride) > 1:
        full = [side + 2 * p - k + 1 for side, p, k in zip(shape[2:], padding, kernel, strict=True)]  # at stride 1
        spread = gradient.new_zeros(count, *full, len(weight)).permute(0, 3, 1, 2)  # channels last
        spread[:, :, :: stride[0], :: stride[1]] = gradient
        gradient = spread
    reach = [k - 1 - p for p, k in zip(padding, kernel, strict=True)]
    turned = weight.flip(2, 3).view(channels, -1, *kernel)  # of several filters a channel the gradients add up
    return F.conv2d(gradient, turned, None, 1, reach, groups=channels)
