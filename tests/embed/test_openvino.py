"""The OpenVINO engine: what it keeps between runs, and what it does where it can't."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fieldguide.data.preprocess import Preprocess
from fieldguide.embed.engines import ENGINES, _openvino_conversion, openvino_cpu
from fieldguide.errors import EngineError
from fieldguide.libraries import import_openvino
from fieldguide.models import MODELS, create_model
from fieldguide.registry import Entry
from fieldguide.weights import Backbone, load_backbone
from fieldguide.weights.tensors import Weights, serialise

pytestmark = pytest.mark.skipif(
    not ENGINES["openvino"].facts.available(), reason="needs OpenVINO, which is not installed"
)
PICTURES = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8)
NOT_AGAIN = "it was converted again"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(size_px=32)


def features(backbone: Backbone, folder: Path) -> np.ndarray:
    return np.array(list(ENGINES["openvino"].factory(backbone, folder).embed(PICTURES)))


@pytest.fixture(scope="module")
def converted(backbone, tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A folder with the converted network, and its features."""
    folder = tmp_path_factory.mktemp("networks")
    return folder, features(backbone, folder)


@pytest.fixture
def no_conversion(monkeypatch):
    monkeypatch.setattr(openvino_cpu, "convert_to", lambda *arguments: pytest.fail(NOT_AGAIN))


def kept_files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).name for file in folder.rglob("*") if file.is_file())


def test_the_converted_network_is_kept_and_gives_the_same_bits(backbone, converted, no_conversion):
    folder, first = converted
    assert kept_files(folder) == ["network.bin", "network.xml"]
    np.testing.assert_array_equal(features(backbone, folder), first)


def test_padding_is_part_of_the_convolutions(converted):
    """OpenVINO would join them later, and then forget that the convolution was to stay in float32."""
    assert 'type="Pad"' not in next(converted[0].rglob("network.xml")).read_text()


@pytest.mark.parametrize("damage", ["network.xml cut", "network.bin cut", "network.bin gone", "both empty"])
def test_a_damaged_network_is_converted_again(backbone, converted, tmp_path, monkeypatch, damage):
    right = features(backbone, tmp_path)
    (kept,) = tmp_path.iterdir()
    name, _, what = damage.partition(" ")
    for file in kept.iterdir() if name == "both" else [kept / name]:
        file.unlink() if what == "gone" else file.write_bytes(file.read_bytes()[: {"cut": 9999}.get(what, 0)])
    np.testing.assert_array_equal(features(backbone, tmp_path), right)
    monkeypatch.setattr(openvino_cpu, "convert_to", lambda *arguments: pytest.fail(NOT_AGAIN))
    np.testing.assert_array_equal(features(backbone, tmp_path), right)


def test_a_folder_that_cannot_be_written_costs_only_time(backbone, converted, tmp_path):
    (tmp_path / "file").write_text("a regular file")
    np.testing.assert_array_equal(features(backbone, tmp_path / "file" / "networks"), converted[1])


def test_a_full_disk_costs_only_time_and_leaves_no_half_network(backbone, converted, tmp_path, monkeypatch):
    openvino = import_openvino()
    save_model, full = openvino.save_model, tmp_path / "full"

    def save_unless_full(network, path, **arguments):
        if path.is_relative_to(full):
            path.write_text("half")
            raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO says it
        save_model(network, path, **arguments)

    monkeypatch.setattr(openvino, "save_model", save_unless_full)
    np.testing.assert_array_equal(features(backbone, full), converted[1])
    assert kept_files(full) == []
    with pytest.raises(OSError, match=r"full/again can't be written: basic_ios::clear: iostream error"):
        _openvino_conversion.convert_to(backbone, full / "again")


def run_apart(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of its own; as an installed command, it imports nothing from the current folder."""
    command = [sys.executable, "-P", "-W", "default", "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


CONVERT_APART = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from fieldguide.data.preprocess import Preprocess
from fieldguide.embed.engines import ENGINES
from fieldguide.weights import load_backbone
from fieldguide.weights.tensors import Weights, read_tensors
backbone = load_backbone(size_px=32)
if sys.argv[3:]:
    backbone = replace(backbone, weights=Weights(lambda: read_tensors(Path(sys.argv[3]))))
backbone.weights.fingerprint
engine = ENGINES["openvino"].factory(backbone, Path(sys.argv[1]))
np.save(sys.argv[2], list(engine.embed(np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8))))
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("weights", ["installed", "of a guide"])
def test_a_process_without_torch_converts_in_a_child_and_gets_the_same(backbone, converted, tmp_path, weights):
    arguments = [tmp_path / "networks", tmp_path / "features.npy"]
    expected = converted[1]
    if weights == "of a guide":
        torch.manual_seed(0)
        state = create_model("efficientnet_lite0", num_classes=0).state_dict()
        arguments.append(tmp_path / "weights.safetensors")
        arguments[-1].write_bytes(serialise({name: tensor.numpy() for name, tensor in state.items()}))
        expected = features(load_backbone(size_px=32, weights=arguments[-1]), tmp_path / "other")
    child = run_apart(CONVERT_APART, *arguments)
    assert (child.returncode, child.stdout, child.stderr) == (0, "False\n", "")  # no torch, no warning
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), expected)


def test_a_child_imports_nothing_from_the_folder_that_the_user_is_in(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("open('ran', 'w')\n")
    monkeypatch.chdir(tmp_path)
    child = run_apart(CONVERT_APART, tmp_path / "networks", tmp_path / "features.npy")
    assert child.returncode == 0, child.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("model", ["efficientnet_lite0", "timm:vit_tiny_patch16_224"])
def test_a_conversion_shows_no_warning(model, tmp_path):
    torch.manual_seed(0)
    state = create_model(model, num_classes=0).state_dict()
    (tmp_path / "weights.safetensors").write_bytes(serialise({k: v.numpy() for k, v in state.items()}))
    source = (
        "import sys, torch\n"  # torch is there: no child
        "from fieldguide.embed.engines import _openvino_conversion as conversion\n"
        "from fieldguide.weights import load_backbone\n"
        "from pathlib import Path\n"
        "conversion.convert_to(load_backbone(sys.argv[1], weights=sys.argv[2]), Path(sys.argv[3]))\n"
    )
    child = run_apart(source, model, tmp_path / "weights.safetensors", tmp_path / "network")
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
    assert kept_files(tmp_path) == ["network.bin", "network.xml", "weights.safetensors"]


class Unconvertible(torch.nn.Module):
    def forward(self, images):
        return torch.linalg.eigvals(images.mean(dim=1)).real


class Untraceable(torch.nn.Module):
    def forward(self, images):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("network", "reason"), [(Unconvertible, ".*aten::linalg_eigvals"), (Untraceable, "ZeroDivisionError")]
)
def test_a_network_that_openvino_cannot_run_is_refused_with_another_engine(tmp_path, monkeypatch, network, reason):
    monkeypatch.setitem(MODELS._entries, "odd", Entry("odd", lambda num_classes: network(), None))
    odd = Backbone("odd", Weights(dict), Preprocess(size_px=32))
    with pytest.raises(EngineError, match=f"^OpenVINO can't run odd: {reason}; try --engine torch-cpu$"):
        features(odd, tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_torch_keeps_its_threads(backbone, tmp_path):
    torch.set_num_threads(2)
    _openvino_conversion.convert_to(backbone, tmp_path / "network")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    "name",
    ["se_resnet50", "densenet121", "convnext_v2_atto", "vit_tiny_patch16", "clip_vit_b_32", "clip_resnet50"],
)
def test_every_kind_of_network_runs_and_agrees(name, tmp_path):
    """Channel attention, concatenation, response normalisation, attention, also as pooling, and unit length.

    The first can't mix precisions.
    """
    torch.manual_seed(0)
    state = {key: tensor.numpy() for key, tensor in create_model(name, num_classes=0).state_dict().items()}
    backbone = Backbone(name, Weights(lambda: state), Preprocess(size_px=32))
    with torch.no_grad():
        exact = backbone.build()(torch.from_numpy(backbone.preprocess.normalise(PICTURES))).numpy()
    found = features(backbone, tmp_path)
    cosines = (found * exact).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosines.min() >= 0.999


SIGNAL_AFTER_TWO = """
import gc, os, signal, sys
from pathlib import Path
from fieldguide.embed.engines.openvino_cpu import openvino_cpu
from fieldguide.weights.backbone import load_backbone
engines = [openvino_cpu(load_backbone("efficientnet_lite0", size_px=32), Path(sys.argv[1])) for _ in range(2)]
while engines:
    del engines[0]  # in the order they came in
    gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("alive")
"""


def test_ctrl_c_after_two_engines_does_not_kill_the_process(tmp_path):
    command = [sys.executable, "-c", SIGNAL_AFTER_TWO, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (0, "alive\n"), result.stderr
