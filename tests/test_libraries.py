"""Libraries with a quirk: each is imported around it, in a process of its own."""

import ctypes
import subprocess
import sys

import pytest
import torch

from fieldguide import libraries


def run_python(source: str) -> str:
    child = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def test_openvino_tells_its_makers_nothing():
    source = """
import sys
from fieldguide.libraries import import_openvino
openvino = import_openvino()
assert import_openvino() is openvino
print(sys.modules["openvino_telemetry"], openvino.Core().available_devices[0])
"""
    assert run_python(source) == "None CPU"


def test_timm_and_torchvision_import_beside_any_build_of_torch():
    source = """
import os
from fieldguide.libraries import import_timm, import_torchvision
torchvision = import_torchvision()
assert import_torchvision() is torchvision
import torch, torchvision.transforms.v2 as transforms
assert transforms.Resize(8)(torch.zeros(3, 16, 16)).shape == (3, 8, 8)
assert torchvision.models.mobilenet_v2(num_classes=2)(torch.zeros(2, 3, 32, 32)).shape == (2, 2)
assert import_timm().is_model("resnet10t")
print(os.environ["TQDM_DISABLE"])
"""
    assert run_python(source) == "1"  # no bars drawn into what is not a terminal


def test_operators_are_declared_only_where_the_library_cannot_be_loaded(monkeypatch):
    loaded, defined = [], []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(torch.library, "define", lambda name, signature: defined.append(name))
    libraries._declare_absent_operators()
    assert [path.name.startswith("_C") for path in loaded] == [True] * len(loaded)
    assert defined == []

    def fail(path):
        raise OSError(f"{path}: undefined symbol")

    monkeypatch.setattr(torch.ops, "load_library", fail)
    libraries._declare_absent_operators()
    assert defined == ["torchvision::nms", "torchvision::qnms"]


def test_nothing_is_declared_where_torchvision_is_not_installed(monkeypatch):
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.library, "define", lambda *arguments: pytest.fail("nothing to declare"))
    libraries._declare_absent_operators()


def test_memory_is_kept_where_there_is_a_glibc(monkeypatch):
    calls = []

    class Library:
        def mallopt(self, parameter, value):
            calls.append((parameter, value))

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(sys, "platform", "linux")
    libraries.keep_freed_memory()
    assert calls == [(-3, 1 << 30), (-1, 1 << 30), (-2, 64 << 20)]  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


def no_library(name):
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize(
    ("system", "load"), [("linux", no_library), ("linux", lambda name: object()), ("win32", None)]
)
def test_elsewhere_memory_is_left_alone(monkeypatch, system, load):
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", system)
    libraries.keep_freed_memory()
