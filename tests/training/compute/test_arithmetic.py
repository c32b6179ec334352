"""Which arithmetic is taken, and what a processor without bfloat16 does."""

import os
import subprocess
import sys

import pytest
import torch

import fieldguide as fg
from fieldguide.errors import RecipeError
from fieldguide.training.compute import arithmetic as module
from fieldguide.training.compute.arithmetic import Arithmetic, choose_arithmetic, prepare

CPU = torch.device("cpu")
EXACT, FUSED, SHORT = Arithmetic(), Arithmetic(fused=True), Arithmetic(precision="bfloat16", fused=True)
PLAIN_SHORT = Arithmetic(precision="bfloat16")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({EXACT: 2.0, FUSED: 1.5, SHORT: 1.0}, SHORT),
        ({EXACT: 2.0, FUSED: 1.05, SHORT: 1.0}, FUSED),
        ({EXACT: 1.05, FUSED: 1.0, SHORT: 1.0}, EXACT),
        ({EXACT: 1.15, FUSED: 1.1, SHORT: 1.0}, SHORT),
        ({EXACT: 1.0, FUSED: 2.0, SHORT: 3.0}, EXACT),
        ({EXACT: 2.0, FUSED: 1.0}, FUSED),
        ({EXACT: 2.0, PLAIN_SHORT: 1.0}, PLAIN_SHORT),
    ],
)
def test_on_a_cpu_the_fastest_is_taken_if_it_is_worth_it(monkeypatch, seconds, expected):
    taken, is_short = [], SHORT in seconds or PLAIN_SHORT in seconds
    monkeypatch.setattr(module, "_has_bfloat16", lambda device: is_short)
    monkeypatch.setattr(module, "_step", lambda network, shape, device, candidate, set_modes: candidate)
    monkeypatch.setattr(module, "_seconds", lambda step: taken.append(step) or seconds[step])
    fuses = PLAIN_SHORT not in seconds
    assert choose_arithmetic(torch.nn.Linear(1, 1), (2, 3, 8, 8), CPU, fuses=fuses) == expected
    assert taken == list(seconds) * 3


def test_a_processor_without_bfloat16_computes_in_float32_and_refuses_it_by_name():
    source = """
import torch
import fieldguide as fg
from fieldguide.errors import RecipeError
from fieldguide.training.compute.arithmetic import choose_arithmetic, prepare
network, cpu = fg.create_model("mobilenet_v2", num_classes=2, width=0.1), torch.device("cpu")
print(choose_arithmetic(network, (2, 3, 32, 32), cpu).precision)
try:
    prepare(network, choose_arithmetic(network, (2, 3, 32, 32), cpu, precision="bfloat16"), cpu)
except RecipeError as error:
    print(error)
"""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    child = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env=environment, check=True
    )
    assert child.stdout.splitlines() == [
        "float32",
        "precision is bfloat16, for which this cpu has no instructions; set precision=float32, or go on with a "
        "run in bfloat16 where it began",
    ]


def test_a_processor_that_would_emulate_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    network = torch.nn.Linear(1, 1)
    with pytest.raises(RecipeError, match="for which this cpu has no instructions"):
        prepare(network, Arithmetic(precision="bfloat16"), CPU)


def test_what_is_fused_on_a_cpu_is_computed_as_ever_elsewhere():
    network = fg.create_model("mobilenet_v2", num_classes=2, width=0.1).to("meta")
    prepare(network, FUSED, torch.device("meta"))
    assert not any("forward" in vars(layer) for layer in network.modules())


def test_a_gpu_that_would_emulate_bfloat16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    network = torch.nn.Linear(1, 1)
    assert choose_arithmetic(network, (2, 3, 8, 8), torch.device("cuda")) == Arithmetic()
    with pytest.raises(RecipeError, match="for which this cuda has no instructions"):
        prepare(network, Arithmetic(precision="bfloat16"), torch.device("cuda"))


def test_the_network_is_left_as_it_was():
    network = fg.create_model("mobilenet_v2", num_classes=2, width=0.1).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    choose_arithmetic(network, (2, 3, 32, 32), CPU)
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
