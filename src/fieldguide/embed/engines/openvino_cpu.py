"""OpenVINO on a CPU: bfloat16 where the processor has it, many photos in flight."""

import contextlib
import importlib.util
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.embed.engines import register_engine
from fieldguide.embed.engines._openvino_conversion import convert_to
from fieldguide.libraries import import_openvino, openvino_core
from fieldguide.weights.backbone import Backbone


def _is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


@register_engine("openvino", order=1, available=_is_installed)
def openvino_cpu(backbone: Backbone, folder: Path) -> "OpenVinoCpu":
    """Convert the backbone, or read what was converted before; both are compiled for this processor."""
    ov, core = import_openvino(), openvino_core()
    bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    kept = folder / f"openvino-{ov.get_version().split('-')[0]}"
    network = kept / "network.xml"
    try:
        if network.is_file():
            with contextlib.suppress(RuntimeError):
                return OpenVinoCpu(core, core.read_model(network), bfloat16=bfloat16)
            shutil.rmtree(kept, ignore_errors=True)  # damaged
        convert_to(backbone, kept)
        return OpenVinoCpu(core, core.read_model(network), bfloat16=bfloat16)
    except OSError:  # a cache that can't be written costs time at the next start, nothing else
        with tempfile.TemporaryDirectory() as elsewhere:
            convert_to(backbone, Path(elsewhere) / kept.name)
            network = Path(elsewhere) / kept.name / "network.xml"
            return OpenVinoCpu(core, core.read_model(network), bfloat16=bfloat16)


class OpenVinoCpu:
    """A network compiled for this processor: one photo per request, several requests at once.

    Larger batches gain nothing: their feature maps no longer fit the processor's caches.

    Args:
        core: OpenVINO's.
        network: pictures uint8 (1, H, W, C) -> features (1, D).
        bfloat16: compute in bfloat16, but for the layers that are marked as precise.
    """

    def __init__(self, core: Any, network: Any, *, bfloat16: bool) -> None:  # noqa: ANN401
        config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32"}
        try:
            self._compiled = core.compile_model(network, "CPU", config)
        except RuntimeError:
            if not bfloat16:
                raise
            # OpenVINO can't mix precisions in every network: squeeze-and-excitation beside marked layers fails.
            bfloat16 = False
            self._compiled = core.compile_model(network, "CPU", config | {"INFERENCE_PRECISION_HINT": "f32"})
        self.description = f"OpenVINO, {'bfloat16, early layers in float32' if bfloat16 else 'float32'}"

    def embed(self, pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Pictures uint8 (H, W, C) -> features (D,), in order."""
        at_work = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # As many again to wait, so that none idles. Made anew for every stream: two may go at once.
        idle = [self._compiled.create_infer_request() for _ in range(2 * at_work)]
        busy: deque[Any] = deque()
        for picture in pictures:
            if not idle:
                yield _finish(busy, idle)
            request = idle.pop()
            request.get_input_tensor().data[0] = picture
            request.start_async()
            busy.append(request)
        while busy:
            yield _finish(busy, idle)


def _finish(busy: deque[Any], idle: list[Any]) -> npt.NDArray[np.float32]:
    """Wait for the oldest request; return a copy of its features."""
    request = busy.popleft()
    request.wait()
    features: npt.NDArray[np.float32] = request.get_output_tensor(0).data[0].copy()
    idle.append(request)
    return features
