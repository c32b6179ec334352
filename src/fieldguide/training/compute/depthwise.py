"""The gradients of depthwise convolutions in bfloat16, which oneDNN is slow at on a CPU."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class DepthwiseGradients(TorchFunctionMode):
    """Has depthwise convolutions take their images' gradients as convolutions, whoever asks for them.

    oneDNN takes twice as long for that gradient as for a convolution of the outputs' gradient, which comes to the
    same; at a stride of 2, where the latter has zeros between for the steps left out, nine times.
    """

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - as torch calls it
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        call = _CONV2D.bind(*args, **(kwargs or {}))
        call.apply_defaults()
        images, weight, bias, stride, padding, dilation, groups = call.args
        is_depthwise = groups > 1 and weight.shape[1] == 1
        if not is_depthwise or isinstance(padding, str) or max(_pair(dilation)) > 1:
            return func(*args, **(kwargs or {}))
        if any(p >= k for p, k in zip(_pair(padding), weight.shape[2:], strict=True)):
            return func(*args, **(kwargs or {}))
        short = [None if t is None else t.to(torch.bfloat16) for t in (images, weight, bias)]
        with torch.autocast("cpu", enabled=False):
            apply: Callable[..., Tensor] = _Depthwise.apply
            return apply(*short, _pair(stride), _pair(padding))


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):  # type: ignore[no-untyped-def]  # noqa
    """Has the signature of torch.conv2d, which is built in and does not tell it."""


_CONV2D = inspect.signature(_conv2d)


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
        ctx.has_bias, ctx.stride, ctx.padding = bias is not None, stride, padding
        return F.conv2d(images, weight, bias, stride, padding, groups=images.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        images, weight = ctx.saved_tensors
        of_images = None
        if ctx.needs_input_grad[0]:
            of_images = _gradient_of_images(gradients[0], images.shape, weight, ctx.stride, ctx.padding)
        channels, mask = images.shape[1], [False, True, ctx.has_bias]
        _, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradients[0],
            images,
            weight,
            [len(weight)],
            ctx.stride,
            ctx.padding,
            [1, 1],
            False,
            [0, 0],
            channels,
            mask,
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
