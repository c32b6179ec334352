"""Libraries with a quirk. Each function says what the quirk is, and works around it; imports come late."""

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
_KEEP_BYTES = 1 << 30
_TOP_PAD_BYTES = 64 << 20


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would report each import and conversion to its makers."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None bars the import
    return importlib.import_module("openvino")


@functools.cache
def openvino_core() -> Any:  # noqa: ANN401 - OpenVINO has no types
    """Return OpenVINO's core, one for the whole process.

    Its CPU plugin gives the thread that loads it a stack for signals, and takes that away at its end, whatever
    came after it: once two plugins have ended in the order they came in, the next Ctrl-C finds no stack, and kills
    the process without a word.
    """
    return import_openvino().Core()


def import_torchvision() -> ModuleType:
    """Import torchvision, even where its compiled operators don't fit the installed torch.

    This happens where a CPU build of torch meets the CUDA build of torchvision. Its data sets, models and
    transforms need no compiled operator; only its import fails, on describing operators that are absent.
    """
    if "torchvision" not in sys.modules:
        if not sys.stderr.isatty():
            os.environ.setdefault("TQDM_DISABLE", "1")  # its downloads draw bars into log files
        _declare_absent_operators()
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Import timm, which imports torchvision."""
    import_torchvision()
    return importlib.import_module("timm")


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of returning it to the system, where there is a glibc.

    torch frees and asks for its large buffers at every layer; page faults then cost it more than the arithmetic.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return
    mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)


def _declare_absent_operators() -> None:
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        for library in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except OSError:
        for name in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, with the libraries that are loaded by now.

    The threads of a small computation wait for each other at every step, and spin meanwhile: where other processes
    keep the cores busy, that takes many times as long as the computation itself.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
