"""Named arrays in files: read, written, and told apart by their fingerprint."""

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from fieldguide.errors import WeightsError
from fieldguide.weights.tensors import Weights, fingerprint, read_tensors, serialise

RNG = np.random.default_rng(0)
TENSORS = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "conv.bias": np.zeros(4, np.float16),
    "norm.count": np.array(7),  # a scalar, as batch normalisation holds one
    "empty": np.zeros((0, 3), np.float32),
}
STRIDED = {
    "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "channels_last": RNG.normal(size=(2, 5, 5, 3)).astype(np.float32).transpose(0, 3, 1, 2),
    "every_other": np.arange(10)[::2],
    "backwards": np.arange(10)[::-1],
    "repeated": np.broadcast_to(np.float32(3), (2, 3)),
    "scalar": np.array(5),
}


@pytest.mark.parametrize("tensors", [TENSORS, STRIDED], ids=["plain", "strided"])
def test_what_is_serialised_is_read_back_exactly(tmp_path, tensors):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(serialise(tensors))
    found = read_tensors(file)
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(found[name], array)
    assert fingerprint(found) == fingerprint(tensors)


def test_every_type_that_numpy_has_is_read(tmp_path):
    for dtype in (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool):
        safetensors.torch.save_file({"a": torch.ones(3, dtype=dtype)}, tmp_path / "a.safetensors")
        assert read_tensors(tmp_path / "a.safetensors")["a"].tolist() == [1, 1, 1]


def save_with_torch(path):
    torch.save({"a": torch.ones(3)}, path)


def cut_off(path):
    safetensors.numpy.save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "header too small"),
        (lambda path: path.write_text("<!doctype html> Not found"), "header too large"),
        (save_with_torch, "header too large"),
        (cut_off, "not fully covered"),
    ],
    ids=["empty", "html", "pth", "cut off"],
)
def test_what_is_no_safetensors_file_is_refused_by_name(tmp_path, make, reason):
    path = tmp_path / "wéights"
    make(path)
    expected = f"wéights can't be read as safetensors: .*{reason}.*; expected a whole .safetensors file of floats"
    with pytest.raises(WeightsError, match=expected):
        read_tensors(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no\.safetensors does not exist; expected a \.safetensors file"):
        read_tensors(tmp_path / "no.safetensors")
    with pytest.raises(WeightsError, match=f"{tmp_path.name} is a folder; expected a .safetensors file"):
        read_tensors(tmp_path)


def test_a_fingerprint_is_of_what_the_tensors_are_not_of_how_they_lie():
    backwards = dict(reversed(TENSORS.items()))
    fortran = {name: np.asarray(array, order="F") for name, array in TENSORS.items()}
    assert fingerprint(TENSORS) == fingerprint(backwards) == fingerprint(fortran)
    assert len(fingerprint({})) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"conv.weight": TENSORS["conv.weight"] + np.float32(1e-6)},
        {"conv.weight": TENSORS["conv.weight"].reshape(4, 3, 4)},
        {"conv.weight": TENSORS["conv.weight"].view(np.int32)},
        {"conv.bias": np.zeros(4, np.float32)},
        {"conv.bias": np.array([0, 0, 0, -0.0], np.float16)},
        {"norm.count": np.array([7])},
        {"norm.count": np.array(7, np.int32)},
        {"empty": np.zeros((3, 0), np.float32)},
        {"more": np.zeros(1)},
    ],
    ids=["value", "shape", "bits", "type", "sign of zero", "scalar", "integer", "empty", "name"],
)
def test_a_fingerprint_changes_with_every_change(change):
    assert fingerprint({**TENSORS, **change}) != fingerprint(TENSORS)


def test_a_fingerprint_changes_with_a_name():
    renamed = {name.replace("bias", "offset"): array for name, array in TENSORS.items()}
    assert fingerprint(renamed) != fingerprint(TENSORS)


def test_weights_are_read_once_and_only_when_asked_for():
    reads = []

    def load():
        reads.append(1)
        return TENSORS

    known = Weights(load, "what they are")
    assert (known.fingerprint, known.are_loaded, reads) == ("what they are", False, [])
    assert known.tensors is known.tensors is TENSORS
    assert (known.are_loaded, len(reads)) == (True, 1)
    unknown = Weights(load)
    assert unknown.fingerprint == unknown.fingerprint == fingerprint(TENSORS)
    assert len(reads) == 2
