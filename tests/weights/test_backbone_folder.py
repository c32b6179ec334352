"""Backbones in folders: written, read, and refused."""

import json

import numpy as np
import pytest
import torch

from fieldguide.data import Preprocess
from fieldguide.errors import UnknownNameError, WeightsError
from fieldguide.models import create_model
from fieldguide.weights import Backbone, load_backbone
from fieldguide.weights.backbone_folder import read_backbone, write_backbone
from fieldguide.weights.tensors import Weights, fingerprint

PREPROCESS = Preprocess(size_px=24, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    network = create_model("resnet9", num_classes=0, width=0.05)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return Backbone("resnet9", Weights(lambda: tensors), PREPROCESS, {"width": 0.05})


@pytest.fixture
def folder(backbone, tmp_path):
    write_backbone(tmp_path / "made", backbone, {"training": {"seed": 5}}, b"epoch\n1\n")
    return tmp_path / "made"


def change(folder, **changes):
    facts = json.loads((folder / "backbone.json").read_text())
    (folder / "backbone.json").write_text(json.dumps({**facts, **changes}))


def test_what_was_written_is_read_and_its_tensors_late(backbone, folder):
    loaded = load_backbone(str(folder))
    assert (loaded.name, loaded.preprocess, loaded.arguments) == ("resnet9", PREPROCESS, {"width": 0.05})
    assert loaded.weights.fingerprint == backbone.weights.fingerprint and not loaded.weights.are_loaded
    assert fingerprint(loaded.weights.tensors) == backbone.weights.fingerprint
    images = torch.randn(2, 3, 24, 24)
    assert torch.equal(loaded.build()(images), backbone.build()(images))
    assert json.loads((folder / "backbone.json").read_text())["training"] == {"seed": 5}


def test_size_and_fit_can_be_chosen_as_far_as_the_network_takes_them(folder):
    changed = load_backbone(str(folder), size_px=40, fit="pad").preprocess
    assert (changed.size_px, changed.fit, changed.mean) == (40, "pad", PREPROCESS.mean)
    with pytest.raises(WeightsError, match=r"resnet9: .*8.*; choose another --size"):
        load_backbone(str(folder), size_px=4)
    change(folder, architecture={"name": "resnet9", "arguments": {"size_px": 24}, "weights_fingerprint": "0"})
    with pytest.raises(WeightsError, match="resnet9 was built for 24 px, not 40; leave --size out"):
        load_backbone(str(folder), size_px=40)


def test_a_guide_serves_as_a_backbone_of_its_own_body(colour_guide, saved_guide):
    loaded = load_backbone(str(saved_guide))
    assert loaded.name == colour_guide.backbone.name and loaded.preprocess == colour_guide.backbone.preprocess
    assert fingerprint(loaded.weights.tensors) == colour_guide.backbone.weights.fingerprint


def test_a_name_without_a_separator_is_a_folder_where_one_is_there(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert load_backbone("made").name == "resnet9"
    (folder.parent / "resnet18").mkdir()
    with pytest.raises(WeightsError, match="no weights are installed for resnet18"):
        load_backbone("resnet18")
    with pytest.raises(UnknownNameError, match="'mad'"):
        load_backbone("mad")
    (folder.parent / "efficientnet_lite0").mkdir()
    assert load_backbone().name == "efficientnet_lite0"


def test_a_folder_takes_no_other_weights(folder, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"made has weights of its own; leave --weights out"):
        load_backbone(str(folder), weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda f: (f / "backbone.json").unlink(),
            r"made holds neither backbone\.json nor guide\.json; expected the",
        ),
        (lambda f: (f / "backbone.json").write_text("{"), r"is damaged: backbone\.json can't be read"),
        (lambda f: (f / "backbone.json").write_text("[]"), "states no format version"),
        (
            lambda f: change(f, format_version=2),
            "has format 2; this fieldguide reads formats up to 1: upgrade with",
        ),
        (lambda f: change(f, format_version="x"), "states no format version"),
        (lambda f: change(f, architecture={"name": 3}), "is damaged: KeyError: 'arguments'"),
        (lambda f: change(f, architecture={"name": 3, "arguments": {}}), "TypeError: the architecture 3"),
        (lambda f: change(f, preprocess={}), "is damaged: ValueError: preprocess has the fields"),
        (lambda f: change(f, files={}), r"is damaged: KeyError: 'model\.safetensors'"),
    ],
)
def test_what_is_no_whole_backbone_is_refused(folder, spoil, expected):
    spoil(folder)
    with pytest.raises(WeightsError, match=expected):
        load_backbone(str(folder))


def test_damaged_tensors_are_refused_when_they_are_read(folder):
    (folder / "model.safetensors").write_bytes(b"something else")
    loaded = load_backbone(str(folder))
    with pytest.raises(
        WeightsError, match=r"model\.safetensors does not match its checksum; copy the folder again"
    ):
        loaded.weights.tensors  # noqa: B018
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors can't be read: No such file"):
        load_backbone(str(folder)).weights.tensors  # noqa: B018


def test_a_folder_that_is_not_there_is_looked_for_under_other_names(folder):
    with pytest.raises(WeightsError, match=r"mode is no folder that exists.*made.*expected the folder of a guide"):
        read_backbone(folder.parent / "mode")


def test_a_place_that_cannot_be_written_is_named(backbone, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match=r"file can't be written: .*; make room, and go on with --resume"):
        write_backbone(tmp_path / "file", backbone, {}, b"")


def test_the_same_backbone_written_again_is_the_same_bytes(backbone, folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write_backbone(folder, backbone, {"training": {"seed": 5}}, b"epoch\n1\n")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert np.isfinite(load_backbone(str(folder)).weights.tensors["stem.conv.weight"]).all()
