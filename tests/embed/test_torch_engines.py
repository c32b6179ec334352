"""The torch engines: which machine has them."""

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
