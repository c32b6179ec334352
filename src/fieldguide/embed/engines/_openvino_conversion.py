"""Conversion of a backbone to OpenVINO, in a process of its own where torch is not loaded yet.

torch takes a second to import and another to trace, and holds the interpreter's lock the while: beside it, the
threads that decode photos would stand still. A child leaves them a core, and takes torch's memory with it.
"""

import contextlib
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import EngineError
from fieldguide.libraries import import_openvino
from fieldguide.paths import written_whole
from fieldguide.weights.backbone import Backbone, load_backbone
from fieldguide.weights.tensors import serialise

_MAX_EXACT_NUMBERS = 1 << 20  # of a feature map: 4 MB in float32


def convert_to(backbone: Backbone, target: Path) -> None:
    """Write ``target/network.xml`` and ``.bin``, both or none: pictures uint8 (1, H, W, C) -> features (1, D).

    Raises:
        WeightsError: the weights don't fit the architecture.
        EngineError: OpenVINO lacks an operator of the network.
        OSError: the folder can't be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if "torch" in sys.modules or not _convert_apart(backbone, target):
        _convert_here(backbone, target)


def _convert_here(backbone: Backbone, target: Path) -> None:
    network = _convert(backbone)
    with written_whole(target) as draft:
        draft.mkdir()
        try:
            import_openvino().save_model(network, draft / "network.xml", compress_to_fp16=False)
        except RuntimeError as error:  # all that OpenVINO says of a full disk
            raise OSError(f"{target} can't be written: {error}") from error
        _mark_float32_layers(draft / "network.xml", backbone.preprocess.size_px // 8)


def _convert_apart(backbone: Backbone, target: Path) -> bool:
    """Have a child convert; say whether it did. What it says when it fails is said better by trying here."""
    with tempfile.TemporaryDirectory() as folder:
        weights = None  # the installed ones, which the child loads by itself
        if backbone.weights.are_loaded:
            weights = str(Path(folder) / "weights.safetensors")
            Path(weights).write_bytes(serialise(backbone.weights.tensors))
        task = {
            "name": backbone.name,
            "arguments": dict(backbone.arguments),
            "preprocess": backbone.preprocess.to_dict(),
            "weights": weights,
            "target": str(target),
        }
        child = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=json.dumps(task).encode(),
            capture_output=True,
            check=False,
        )
    return child.returncode == 0


def _main() -> None:
    """Convert what standard input describes. Photos wait for this: it does without collecting or tidying up."""
    gc.disable()
    task = json.load(sys.stdin)
    backbone = load_backbone(task["name"], weights=task["weights"])
    preprocess = Preprocess.from_dict(task["preprocess"])
    _convert_here(replace(backbone, preprocess=preprocess, arguments=task["arguments"]), Path(task["target"]))
    os._exit(0)


def _convert(backbone: Backbone) -> Any:  # noqa: ANN401 - OpenVINO has no types
    """Return an OpenVINO model: pictures uint8 (1, H, W, C) -> features (1, D), normalisation inside.

    Raises:
        WeightsError: the weights don't fit the architecture.
        EngineError: OpenVINO lacks an operator of the network.
    """
    import torch

    ov = import_openvino()
    preprocess = backbone.preprocess
    example = torch.zeros(1, preprocess.channels, preprocess.size_px, preprocess.size_px)
    network = backbone.build()
    try:
        with torch.no_grad(), _one_thread(), warnings.catch_warnings():
            # The tracer is deprecated, but torch.export takes twice as long; and it warns of every branch on a
            # picture's size, which is fixed here.
            warnings.simplefilter("ignore")
            # Traced here and not by OpenVINO, which checks its trace by running the network twice more.
            traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
            # Frozen, so that torch folds what is constant: it does so faster than OpenVINO.
            converted = ov.convert_model(torch.jit.freeze(traced), example_input=example)
    except Exception as error:  # the tracer and OpenVINO raise nearly anything over what they don't know
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].lstrip("- ")
        raise EngineError(f"OpenVINO can't run {backbone.name}: {reason}; try --engine torch-cpu") from error
    converted.reshape(list(example.shape))
    return _with_normalisation(converted, preprocess)


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
    steps = builder.input().preprocess().convert_element_type(ov.Type.f32)
    steps.mean([255 * m for m in preprocess.mean]).scale([255 * s for s in preprocess.std])
    return builder.build()


def _mark_float32_layers(network: Path, side: int) -> None:
    """Mark layers to stay in float32 where others go to bfloat16: those with a feature map of ``side`` or larger.

    What the early layers round away, the later ones amplify: all in bfloat16, features fall to cosine 0.995 of the
    exact ones (benchmarks/engines.py, which times it too). The very largest maps, which no core's cache holds in
    float32, cost the most time and gain the least: they go to bfloat16. OpenVINO has no call for it, but a mark.
    """
    tree = ElementTree.parse(network)
    for layer in tree.iterfind("layers/layer"):
        if layer.get("type") in ("Const", "Parameter", "Result"):
            continue
        maps = [shape for shape in map(_shape, layer.iterfind("*/port")) if len(shape) == 4 and shape[0] == 1]
        if any(shape[2] >= side for shape in maps) and all(math.prod(s) <= _MAX_EXACT_NUMBERS for s in maps):
            marks = layer.find("rt_info")
            if marks is None:
                marks = ElementTree.Element("rt_info")
                layer.insert(0 if layer.find("data") is None else 1, marks)
            ElementTree.SubElement(marks, "attribute", name="precise", version="0")
    tree.write(network)


def _shape(port: ElementTree.Element) -> list[int]:
    return [int(dim.text or 0) for dim in port.iterfind("dim")]


if __name__ == "__main__":
    _main()
