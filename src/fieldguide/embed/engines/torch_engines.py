"""torch: on CUDA and Apple GPUs in bfloat16, on a CPU in float32; channels_last on all of them."""

import platform
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fieldguide.embed.engines import register_engine
from fieldguide.libraries import keep_freed_memory
from fieldguide.weights.backbone import Backbone


def _has_cuda() -> bool:
    """Whether torch sees a CUDA GPU; torch is not even imported where the system shows no sign of one."""
    signs = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("C:/Windows/System32/nvcuda.dll"))
    if not any(sign.exists() for sign in signs):
        return False
    import torch

    return torch.cuda.is_available()


def _has_mps() -> bool:
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return False
    import torch

    return torch.backends.mps.is_available()


def _always() -> bool:
    return True


@register_engine("torch-cuda", order=0, available=_has_cuda)
def torch_cuda(backbone: Backbone, folder: Path) -> "TorchEngine":
    """Run the backbone on the first CUDA GPU."""
    return TorchEngine(backbone, "cuda", "bfloat16", batch_size=256)


@register_engine("torch-mps", order=0, available=_has_mps)
def torch_mps(backbone: Backbone, folder: Path) -> "TorchEngine":
    """Run the backbone on Apple's GPU."""
    return TorchEngine(backbone, "mps", "bfloat16", batch_size=64)


@register_engine("torch-cpu", order=2, available=_always)
def torch_cpu(backbone: Backbone, folder: Path) -> "TorchEngine":
    """Run the backbone on the CPU."""
    keep_freed_memory()
    return TorchEngine(backbone, "cpu", "float32", batch_size=32)


class TorchEngine:
    """Batches through a torch network, normalised on its device.

    Args:
        backbone: what to run.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        precision: ``"float32"`` or ``"bfloat16"``, of the arithmetic; features are float32 either way.
        batch_size: pictures at a time.
    """

    def __init__(self, backbone: Backbone, device: str, precision: str, batch_size: int) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._dtype = getattr(torch, precision)
        self._batch_size = batch_size
        layout = torch.channels_last
        self._network = backbone.build().to(self._device, self._dtype, memory_format=layout)  # type: ignore[call-overload]
        shape = (1, -1, 1, 1)
        self._mean = 255 * torch.tensor(backbone.preprocess.mean, device=self._device).view(shape)
        self._std = 255 * torch.tensor(backbone.preprocess.std, device=self._device).view(shape)
        self.description = f"torch on {device}, {precision}"

    def embed(self, pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Pictures uint8 (H, W, C) -> features (D,), in order."""
        source = iter(pictures)
        while batch := list(islice(source, self._batch_size)):
            yield from self._run(np.stack(batch))

    def _run(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        torch = self._torch
        with torch.inference_mode():
            images = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2)
            images = ((images - self._mean) / self._std).to(self._dtype, memory_format=torch.channels_last)
            features: npt.NDArray[np.float32] = self._network(images).float().cpu().numpy()
        return features
