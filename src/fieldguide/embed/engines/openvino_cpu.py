"""OpenVINO on a CPU: bfloat16 where the processor has it, many photos in flight."""

import contextlib
import importlib.util
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data.preprocess import Preprocess
from fieldguide.embed.engines import register_engine
from fieldguide.libraries import import_openvino
from fieldguide.paths import written_whole
from fieldguide.weights.backbone import Backbone

_BATCH_SIZE = 4  # the least time a photo of 1, 2, 4, 8, 16 and 32 on two cores, see benchmarks/engines.py


def _is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


@register_engine("openvino", order=1, available=_is_installed)
def openvino_cpu(backbone: Backbone, folder: Path) -> "OpenVinoCpu":
    """Convert the backbone, or read what was converted before, and compile it for this processor."""
    ov = import_openvino()
    core = ov.Core()
    kept = folder / f"openvino-{ov.get_version().split('-')[0]}"
    if (kept / "network.xml").is_file():
        return OpenVinoCpu(core, core.read_model(kept / "network.xml"))
    network = convert(backbone)
    try:
        with written_whole(kept) as draft:
            draft.mkdir()
            ov.save_model(network, draft / "network.xml", compress_to_fp16=False)
    except OSError:  # a cache that can't be written costs time at the next start, nothing else
        pass
    return OpenVinoCpu(core, network)


def convert(backbone: Backbone) -> Any:  # noqa: ANN401 - OpenVINO has no types
    """Return an OpenVINO model: one picture uint8 (1, H, W, C) -> features (1, D), normalisation inside."""
    import torch

    ov = import_openvino()
    preprocess = backbone.preprocess
    example = torch.zeros(1, preprocess.channels, preprocess.size_px, preprocess.size_px)
    with torch.no_grad(), _one_thread():
        # Traced here and not by OpenVINO, which checks its trace by running the network twice more.
        traced = torch.jit.trace(backbone.build(), example, check_trace=False)  # type: ignore[no-untyped-call]
        network = ov.convert_model(traced, example_input=example)
    network.reshape(list(example.shape))
    return _with_normalisation(network, preprocess)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: its waiting threads spin, and take the cores that decode photos meanwhile."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _with_normalisation(network: Any, preprocess: Preprocess) -> Any:  # noqa: ANN401
    ov = import_openvino()
    builder = ov.preprocess.PrePostProcessor(network)
    builder.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    builder.input().model().set_layout(ov.Layout("NCHW"))
    builder.input().preprocess().convert_element_type(ov.Type.f32).mean([255 * m for m in preprocess.mean]).scale(
        [255 * s for s in preprocess.std]
    )
    return builder.build()


class OpenVinoCpu:
    """A network compiled for this processor, with as many requests waiting as are at work."""

    def __init__(self, core: Any, network: Any) -> None:  # noqa: ANN401
        self._core = core
        self._network = network
        self._precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        self._requests_by_size: dict[int, list[Any]] = {}

    @property
    def description(self) -> str:
        """What runs and how, for people."""
        return f"OpenVINO, {'bfloat16' if self._precision == 'bf16' else 'float32'}"

    def embed(self, pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.float32]]:
        """Pictures uint8 (H, W, C) -> features (D,), in order."""
        source = iter(pictures)
        batch = list(islice(source, _BATCH_SIZE))
        size = len(batch)  # below the batch size where there are no more: one photo doesn't pay for four
        idle = list(self._requests(size)) if batch else []
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
        """Return requests for batches of that size: as many as the processor works at, and as many to wait."""
        if batch_size not in self._requests_by_size:
            network = self._network.clone()
            network.reshape([batch_size, *network.input().partial_shape[1:]])
            config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": self._precision}
            compiled = self._core.compile_model(network, "CPU", config)
            at_work = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            self._requests_by_size[batch_size] = [compiled.create_infer_request() for _ in range(2 * at_work)]
        return self._requests_by_size[batch_size]


def _finish(busy: deque[tuple[Any, int]], idle: list[Any]) -> Iterator[npt.NDArray[np.float32]]:
    """Wait for the oldest request; yield a copy of each of its features."""
    request, count = busy.popleft()
    request.wait()
    features = request.get_output_tensor(0).data[:count].copy()
    idle.append(request)
    yield from features
