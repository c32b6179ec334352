"""What a step computes with: float32 or bfloat16, whichever is faster here, measured and not assumed.

Weights, the optimiser's state and the statistics of batch normalisation are float32 either way.
"""

import contextlib
import copy
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Precision = Literal["float32", "bfloat16"]

_PIXELS_MEASURED = 16 * 224 * 224  # of the images in a measured step, at most: a fraction of a second each
_ROUNDS = 3  # of each candidate, in turn
_WORTH_IT = 1.1  # times faster, from which on bfloat16 is taken


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a step computes with. A run keeps it, so that it computes the same bits when it is resumed.

    Args:
        precision: of the arithmetic, under autocast.
        channels_last: whether images and filters lie with their channels together.
        exact_depthwise: whether the images' gradients of strided depthwise convolutions are float32 all the same.
    """

    precision: Precision = "float32"
    channels_last: bool = True
    exact_depthwise: bool = False


def choose_arithmetic(
    network: nn.Module,
    images_shape: tuple[int, int, int, int],
    device: torch.device,
    *,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
) -> Arithmetic:
    """Take a few steps with each kind of arithmetic, and return the faster one. The network is left as it was.

    Args:
        network: images -> a tensor of any shape, or several.
        images_shape: (N, C, H, W) of a step; fewer images are measured where they are large.
        device: that it will run on.
        precision: ``"auto"``, or the one to take.
    """
    exact = Arithmetic()
    on_cpu = device.type == "cpu"
    short = Arithmetic(precision="bfloat16", exact_depthwise=on_cpu and _has_strided_depthwise(network))
    if precision != "auto":
        return exact if precision == "float32" else short
    if not on_cpu:
        return short if device.type == "cuda" and torch.cuda.is_bf16_supported() else exact
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        steps = [_step(network, images_shape, device, candidate) for candidate in (exact, short)]
        seconds = [_seconds(step) for _ in range(_ROUNDS) for step in steps]
    return short if min(seconds[0::2]) > _WORTH_IT * min(seconds[1::2]) else exact


def _step(
    network: nn.Module, images_shape: tuple[int, int, int, int], device: torch.device, arithmetic: Arithmetic
) -> Callable[[], None]:
    """Return a step of a copy of the network, without the optimiser's part; it was taken once, to warm up."""
    count, channels, height, width = images_shape
    count = max(2, min(count, _PIXELS_MEASURED // (height * width)))
    own = copy.deepcopy(network).to(device).train()
    prepare(own, arithmetic)
    images = torch.rand(count, channels, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        own.zero_grad()
        with autocast(arithmetic, device):
            outputs = own(images)
        _total(outputs).backward()  # type: ignore[no-untyped-call]

    step()
    return step


def _total(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return torch.stack(
        [o.float().square().mean() for o in ((outputs,) if isinstance(outputs, Tensor) else outputs)]
    ).sum()


def _seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def prepare(network: nn.Module, arithmetic: Arithmetic) -> None:
    """Lay a network out for its arithmetic, in place. Its parameters keep their names and values."""
    if arithmetic.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextlib.contextmanager
def autocast(arithmetic: Arithmetic, device: torch.device) -> Iterator[None]:
    """Give the context for a forward pass."""
    exactly = arithmetic.exact_depthwise and device.type == "cpu" and torch.is_grad_enabled()
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=arithmetic.precision == "bfloat16"),
        _ExactDepthwise() if exactly else contextlib.nullcontext(),
    ):
        yield


def _has_strided_depthwise(network: nn.Module) -> bool:
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return any(_is_strided_depthwise(conv.weight, conv.stride, conv.groups) for conv in convs)


def _is_strided_depthwise(weight: Tensor, stride: Sequence[int], groups: int) -> bool:
    return groups > 1 and weight.shape[1] == 1 and max(stride) > 1


class _ExactDepthwise(TorchFunctionMode):
    """Has strided depthwise convolutions compute their images' gradient in float32, whoever asks for them.

    In bfloat16 oneDNN takes 16 times as long for that gradient: 60 ms to 4, of 16 maps of 96 channels and 112 px.
    That undoes all that bfloat16 gains in the rest of a MobileNet.
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
        geometry = [[n, n] if isinstance(n, int) else list(n) for n in (stride, dilation)]
        if isinstance(padding, str) or not _is_strided_depthwise(weight, geometry[0], groups):
            return func(*args, **(kwargs or {}))
        padding = [padding, padding] if isinstance(padding, int) else list(padding)
        short = [None if t is None else t.to(torch.bfloat16) for t in (images, weight, bias)]
        with torch.autocast("cpu", enabled=False):
            apply: Callable[..., Tensor] = _StridedDepthwise.apply
            return apply(*short, (geometry[0], padding, geometry[1], groups))


def _conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):  # type: ignore[no-untyped-def]  # noqa
    """Has the signature of torch.conv2d, which is built in and does not tell it."""


_CONV2D = inspect.signature(_conv2d)


class _StridedDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Any) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(images, weight)
        ctx.has_bias = bias is not None
        ctx.geometry = geometry
        return F.conv2d(images, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        images, weight = ctx.saved_tensors
        (gradient,) = gradients
        stride, padding, dilation, groups = ctx.geometry

        def of(gradient: Tensor, images: Tensor, weight: Tensor, mask: list[bool]) -> tuple[Tensor | None, ...]:
            found = torch.ops.aten.convolution_backward(
                gradient, images, weight, [weight.shape[0]], stride, padding, dilation, False, [0, 0], groups, mask
            )
            return cast("tuple[Tensor | None, ...]", found)

        of_images = None
        if ctx.needs_input_grad[0]:  # of the images only their shape matters here
            like = torch.empty_like(images, dtype=torch.float32)
            whole = of(gradient.float(), like, weight.float(), [True, False, False])[0]
            of_images = None if whole is None else whole.to(images.dtype)
        _, of_weight, of_bias = of(gradient, images, weight, [False, True, ctx.has_bias])
        return of_images, of_weight, of_bias, None
