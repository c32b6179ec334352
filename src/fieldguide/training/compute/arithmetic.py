"""What a step computes with: on a CPU whichever of float32 and bfloat16, fused or not, is measured to be fastest.

Weights, the optimiser's state and the statistics of batch normalisation are float32 either way.
"""

import copy
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fieldguide.errors import RecipeError
from fieldguide.training.compute.convolution_gradients import hasten_gradients
from fieldguide.training.compute.fused import fuse

Precision = Literal["float32", "bfloat16"]

_PIXELS_MEASURED = 16 * 224 * 224  # of the images in a measured step, at most: a fraction of a second each
_X86 = ("x86_64", "AMD64")
_ROUNDS = 3  # of each candidate, in turn
_WORTH_IT = 1.1  # times faster, from which on another than plain float32 is taken


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a step computes with. A run keeps it, so that it computes the same bits when it is resumed.

    Args:
        precision: of the arithmetic, under autocast.
        channels_last: whether images and filters lie with their channels together.
        fused: whether layers pass over memory together, on a CPU.
    """

    precision: Precision = "float32"
    channels_last: bool = True
    fused: bool = False


def choose_arithmetic(
    network: nn.Module,
    images_shape: tuple[int, int, int, int],
    device: torch.device,
    *,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    fuses: bool = True,
    set_modes: Callable[[nn.Module], object] = nn.Module.train,
) -> Arithmetic:
    """Return the fastest arithmetic; on a CPU a few steps of each tell. The network is left as it was.

    Args:
        network: images -> a tensor of any shape.
        images_shape: (N, C, H, W) of a step; fewer images are measured where they are large.
        device: that it will run on.
        precision: ``"auto"``, or the one to take: float32 is then computed as torch does everywhere.
        fuses: whether layers may be fused: those of compiled networks are by torch, and several processes
            normalise together.
        set_modes: puts a network in training.
    """
    exact = Arithmetic()
    on_cpu = device.type == "cpu"
    can_fuse = fuses and on_cpu and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    short = Arithmetic(precision="bfloat16", fused=can_fuse)
    if precision == "float32":
        return exact
    if precision == "bfloat16":
        return short
    if not on_cpu:
        return short if _has_bfloat16(device) else exact
    candidates = [exact]
    if can_fuse:
        candidates.append(Arithmetic(fused=True))
    if _has_bfloat16(device):
        candidates.append(short)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        steps = [_step(network, images_shape, device, candidate, set_modes) for candidate in candidates]
        seconds = [[_seconds(step) for step in steps] for _ in range(_ROUNDS)]
    return _fastest(candidates, [min(times) for times in zip(*seconds, strict=True)])


def _fastest(candidates: Sequence[Arithmetic], seconds: Sequence[float]) -> Arithmetic:
    """Return the fastest, where one further from plain float32 must be faster by enough to be worth it."""
    best = 0
    for number in range(1, len(candidates)):
        if seconds[best] > _WORTH_IT * seconds[number]:
            best = number
    return candidates[best]


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself: emulated, it would be far slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine() in _X86:  # where oneDNN takes it with any AVX-512, and may emulate it
        has_instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return has_instructions and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _step(
    network: nn.Module,
    images_shape: tuple[int, int, int, int],
    device: torch.device,
    arithmetic: Arithmetic,
    set_modes: Callable[[nn.Module], object],
) -> Callable[[], None]:
    """Return a step of a copy of the network, without the optimiser's part; it was taken once, to warm up."""
    count, channels, height, width = images_shape
    count = max(2, min(count, _PIXELS_MEASURED // (height * width)))
    own = copy.deepcopy(network).to(device)
    set_modes(own)
    prepare(own, arithmetic, device)
    images = torch.rand(count, channels, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        own.zero_grad()
        with autocast(arithmetic, device):
            outputs = own(images)
        outputs.float().square().mean().backward()

    step()
    return step


def _seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def prepare(network: nn.Module, arithmetic: Arithmetic, device: torch.device, *, compiles: bool = False) -> None:
    """Lay a network out for its arithmetic, in place. Its parameters keep their names and values.

    Args:
        network: on any device.
        arithmetic: what it will compute with.
        device: that it will run on.
        compiles: whether torch will compile it, which takes none of our gradients.

    Raises:
        RecipeError: the device does not have the arithmetic; a run may have begun on another machine.
    """
    if arithmetic.precision == "bfloat16" and not _has_bfloat16(device):
        raise RecipeError(
            f"precision is bfloat16, for which this {device.type} has no instructions; set precision=float32, or "
            "go on with a run in bfloat16 where it began"
        )
    if arithmetic.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu" and arithmetic.fused:
        fuse(network)
    if device.type == "cpu" and arithmetic.precision == "bfloat16" and not compiles:
        hasten_gradients(network)


def autocast(arithmetic: Arithmetic, device: torch.device) -> torch.autocast:
    """Return the context for a forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic.precision == "bfloat16")
