"""The torch engines: which machine has them, and memory that is kept."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fieldguide.embed.engines import ENGINES, torch_engines


def test_a_machine_without_a_sign_of_cuda_imports_no_torch_to_find_out():
    if any(Path(sign).exists() for sign in ("/dev/nvidiactl", "/dev/dxg")):
        pytest.skip("this machine may have a CUDA GPU")
    source = (
        "import sys\n"
        "from fieldguide.embed.engines import choose_engine\n"
        "print(choose_engine(), 'torch' in sys.modules)\n"
    )
    child = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert child.stdout == "openvino False\n"


@pytest.mark.parametrize("has", [False, True])
def test_with_a_sign_of_cuda_torch_decides(monkeypatch, has):
    monkeypatch.setattr(torch_engines.Path, "exists", lambda path: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has)
    assert ENGINES["torch-cuda"].facts.available() is has


@pytest.mark.parametrize(
    ("system", "machine", "torch_says", "expected"),
    [
        ("darwin", "arm64", True, True),
        ("darwin", "arm64", False, False),
        ("darwin", "x86_64", True, False),
        ("linux", "arm64", True, False),
    ],
)
def test_apples_gpu_is_on_apples_processors(monkeypatch, system, machine, torch_says, expected):
    monkeypatch.setattr(torch_engines.sys, "platform", system)
    monkeypatch.setattr(torch_engines.platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: torch_says)
    assert ENGINES["torch-mps"].facts.available() is expected


def test_memory_is_kept_where_there_is_a_glibc(monkeypatch):
    calls = []

    class Library:
        def mallopt(self, parameter, value):
            calls.append((parameter, value))

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(torch_engines.sys, "platform", "linux")
    torch_engines.keep_freed_memory()
    assert calls == [(-3, 1 << 30), (-1, 1 << 30), (-2, 64 << 20)]  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


def no_library(name):
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize(
    ("system", "load"), [("linux", no_library), ("linux", lambda name: object()), ("win32", None)]
)
def test_elsewhere_memory_is_left_alone(monkeypatch, system, load):
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(torch_engines.sys, "platform", system)
    torch_engines.keep_freed_memory()
