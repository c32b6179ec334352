"""OpenVINO on a CPU: bfloat16 where the processor has it, many photos in flight."""

import contextlib
import importlib.util
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.embed.engines import register_engine
from fieldguide.embed.engines._openvino_conversion import convert_to
from fieldguide.libraries import import_openvino
from fieldguide.weights.backbone import Backbone

_BATCH_SIZE = 4  # the least time a photo of 1, 2, 4, 8, 16 and 32 on two cores, see benchmarks/engines.py


def _is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


@register_engine("openvino", order=1, available=_is_installed)
def openvino_cpu(backbone: Backbone, folder: Path) -> "OpenVinoCpu":
    """Convert the backbone, or read what was converted before; both are compiled for this processor."""
    ov = import_openvino()
    core = ov.Core()
    kept = folder / f"openvino-{ov.get_version().split('-')[0]}"
    network = kept / "network.xml"
    try:
        if network.is_file():
            with contextlib.suppress(RuntimeError):
                return OpenVinoCpu(core, core.read_model(network))
            shutil.rmtree(kept, ignore_errors=True)  # damaged
        convert_to(backbone, kept)
        return OpenVinoCpu(core, core.read_model(network))
    except OSError:  # a cache that can't be written costs time at the next start, nothing else
        with tempfile.TemporaryDirectory() as elsewhere:
            convert_to(backbone, Path(elsewhere) / kept.name)
            return OpenVinoCpu(core, core.read_model(Path(elsewhere) / kept.name / "network.xml"))


class OpenVinoCpu:
    """A network compiled for this processor, with as many requests waiting as are at work."""

    def __init__(self, core: Any, network: Any) -> None:  # noqa: ANN401
        self._core = core
        self._network = network
        self._precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        self._compiled_by_size: dict[int, Any] = {}

    @property
    def description(self) -> str:
        """What runs and how, for people."""
        return f"OpenVINO, {'bfloat16' if self._precision == 'bf16' else 'float32'}"

    def embed(self, pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Pictures uint8 (H, W, C) -> features (D,), in order."""
        source = iter(pictures)
        batch = list(islice(source, _BATCH_SIZE))
        size = len(batch)  # below the batch size where there are no more: one photo doesn't pay for four
        idle = self._requests(size) if batch else []
        busy: deque[tuple[Any, int]] = deque()
        while batch:
            if not idle:
                yield from _finish(busy, idle)
            request = idle.pop()
            for slot, picture in zip(request.get_input_tensor().data, batch, strict=False):
                slot[:] = picture
            request.start_async()
            busy.append((request, len(batch)))
            batch = list(islice(source, size))
        while busy:
            yield from _finish(busy, idle)

    def _requests(self, batch_size: int) -> list[Any]:
        """Make requests for batches of that size: as many as the processor works at, and as many to wait.

        They are made anew for every stream, in a fraction of a millisecond: two streams may go at once, and one
        may be left in its middle.
        """
        if batch_size not in self._compiled_by_size:
            network = self._network.clone()
            network.reshape([batch_size, *network.input().partial_shape[1:]])
            config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": self._precision}
            self._compiled_by_size[batch_size] = self._core.compile_model(network, "CPU", config)
        compiled = self._compiled_by_size[batch_size]
        at_work = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        return [compiled.create_infer_request() for _ in range(2 * at_work)]


def _finish(busy: deque[tuple[Any, int]], idle: list[Any]) -> Iterator[npt.NDArray[np.float32]]:
    """Wait for the oldest request; yield a copy of each of its features."""
    request, count = busy.popleft()
    request.wait()
    features = request.get_output_tensor(0).data[:count].copy()
    idle.append(request)
    yield from features
