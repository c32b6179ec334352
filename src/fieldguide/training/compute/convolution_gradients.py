"""The gradients of convolutions in bfloat16 that oneDNN is slow at on a CPU."""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_FEW_PLACES = 8  # of all output maps, a filter


def hasten_gradients(network: nn.Module) -> None:
    """Have a network's convolutions find some of their gradients otherwise, in bfloat16, in place.

    The images' gradient of a depthwise convolution takes oneDNN twice as long as a convolution of the outputs'
    gradient, which comes to the same; at a stride of 2, where the latter has zeros between for the steps left out,
    nine times. The weights' gradient of many filters over few places, such as the last ones of a network, takes it
    two to nine times as long as the product of two matrices.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_usual(module) and (_is_depthwise(module) or _is_dense(module)):
            # a bound method: a copy of the network gets one that is bound to the copy
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _is_usual(conv: nn.Conv2d) -> bool:
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str) or max(conv.dilation) > 1:
        return False
    return all(padding < side for padding, side in zip(conv.padding, conv.kernel_size, strict=True))


def _is_depthwise(conv: nn.Conv2d) -> bool:
    return conv.groups == conv.in_channels > 1


def _is_dense(conv: nn.Conv2d) -> bool:
    return conv.groups == 1 and conv.kernel_size != (1, 1)


def _forward(conv: nn.Conv2d, images: Tensor) -> Tensor:
    if not (torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
        return type(conv).forward(conv, images)
    short = [None if t is None else t.bfloat16() for t in (images, conv.weight, conv.bias)]
    convolve: Callable[..., Tensor] = _Convolution.apply
    with torch.autocast("cpu", enabled=False):
        return convolve(*short, list(conv.stride), list(conv.padding), conv.groups)


class _Convolution(torch.autograd.Function):
    """Maps (N, C, H, W) by filters (K, C / groups, kernel height, kernel width), without dilation."""

    @staticmethod
    def forward(  # noqa: PLR0917 - torch passes them by position
        ctx: Any,  # noqa: ANN401 - as torch has it
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding, ctx.groups = stride, padding, groups
        return F.conv2d(images, weight, bias, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (gradient,), (images, weight) = gradients, ctx.saved_tensors
        of_images, of_weight, of_bias = ctx.needs_input_grad[:3]
        own_images = of_images and ctx.groups > 1
        own_weight = of_weight and ctx.groups == 1 and _has_few_places(gradient)
        geometry = (ctx.stride, ctx.padding, [1, 1], False, [0, 0], ctx.groups)
        needed = [of_images and not own_images, of_weight and not own_weight, of_bias]
        found: list[Tensor | None] = list(
            torch.ops.aten.convolution_backward(gradient, images, weight, [len(weight)], *geometry, needed)
        )
        if own_images:
            found[0] = _gradient_of_images(gradient, images.shape, weight, ctx.stride, ctx.padding)
        if own_weight:
            found[1] = _gradient_of_weight(gradient, images, weight.shape, ctx.stride, ctx.padding)
        return (*found, None, None, None)


def _has_few_places(gradient: Tensor) -> bool:
    """Whether outputs (N, K, h, w) have so few places, of N, h and w, beside K."""
    return gradient.numel() <= _FEW_PLACES * gradient.shape[1] ** 2


def _gradient_of_images(
    gradient: Tensor, shape: torch.Size, weight: Tensor, stride: list[int], padding: list[int]
) -> Tensor:
    """Return the gradient (N, C, H, W) of a depthwise convolution's images, from its outputs' (N, C m, h, w)."""
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


def _gradient_of_weight(
    gradient: Tensor, images: Tensor, shape: torch.Size, stride: list[int], padding: list[int]
) -> Tensor:
    """Return the gradient (K, C, kernel height, kernel width) of dense filters, from their outputs' (N, K, h, w).

    It is the product of the outputs' gradient at every place and the patch of the images that was seen from there.
    """
    filters, channels, height, width = shape
    padded = F.pad(images, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    patches = padded.unfold(1, height, stride[0]).unfold(2, width, stride[1])  # (N, h, w, C, height, width)
    seen = patches.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * channels)
    of_places = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    return (of_places.t() @ seen).view(filters, height, width, channels).permute(0, 3, 1, 2)
