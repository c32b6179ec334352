"""MNIST and its kin by name: found on the disk, or downloaded from a real server on loopback."""

import functools
import gc
import gzip
import hashlib
import shutil
import socket
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from fieldguide.data import open_images
from fieldguide.errors import DataError
from fieldguide.libraries import import_torchvision

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
FAMILY = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
CLASSES = {
    "mnist": "0 1 2 3 4",
    "fashion-mnist": "t-shirt trouser pullover dress coat",
    "kmnist": "o ki su tsu na",
}


@pytest.fixture
def unclosed_answers():
    """torchvision leaves the answers of a failed download open; let them go here, not in a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@functools.cache
def contents() -> dict[str, bytes]:
    """A tiny set of 20 training and 5 test pictures, gzipped under MNIST's names."""
    pixels, labels = np.arange(25 * 4, dtype=np.uint8).reshape(25, 2, 2), np.arange(25, dtype=np.uint8) % 10
    arrays = (pixels[:20], labels[:20], pixels[20:], labels[20:])
    return {f"{n}.gz": gzip.compress(idx(a), mtime=0) for n, a in zip(FILES, arrays, strict=True)}


def write(folder: Path, names: tuple[str, ...] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.gz").write_bytes(contents()[f"{name}.gz"])
    return folder


def download_from(monkeypatch, name: str, *mirrors: str, files: dict[str, bytes] | None = None) -> None:
    """Make torchvision ask these addresses for these files, by default for those of the tiny set."""
    dataset = getattr(import_torchvision().datasets, FAMILY[name])
    checked = [(file, hashlib.md5(content).hexdigest()) for file, content in (files or contents()).items()]
    monkeypatch.setattr(dataset, "mirrors", list(mirrors))
    monkeypatch.setattr(dataset, "resources", checked)


def check(name: str, data_root: Path | None) -> None:
    images = open_images(name, data_root=data_root)
    assert (len(images), images.is_split, len(images.class_names)) == (25, True, 10)
    assert list(images.class_names[:5]) == CLASSES[name].split()
    assert images.labels.tolist() == [i % 10 for i in range(25)]
    assert (images.parts == "train").sum() == 20
    assert images.read(21).tolist() == [[84, 85], [86, 87]]


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("place", ["{name}", ".", "{torchvision}/raw"])
def test_files_that_are_there_are_read_where_they_are(tmp_path, name, place):
    write(tmp_path / place.format(name=name, torchvision=FAMILY[name]))
    check(name, tmp_path)
    assert len(list(tmp_path.rglob("*.gz"))) == len([p for p in tmp_path.rglob("*") if p.is_file()]) == 4


@pytest.mark.parametrize("name", FAMILY)
def test_a_download_on_first_use_and_none_on_the_second(tmp_path, monkeypatch, serve, name):
    served = write(tmp_path / "served")
    download_from(monkeypatch, name, serve(served))
    check(name, tmp_path / "new/root")
    shutil.rmtree(served)
    check(name, tmp_path / "new/root")


def test_without_a_data_root_the_cache_is_used(tmp_path, monkeypatch, serve, own_cache):
    download_from(monkeypatch, "mnist", serve(write(tmp_path / "served")))
    check("mnist", None)
    assert len(list((own_cache / "sets/MNIST/raw").iterdir())) == 8


@pytest.mark.parametrize("names", [FILES[:1], FILES[:3]])
def test_a_download_that_was_interrupted_goes_on(tmp_path, monkeypatch, serve, names):
    raw = write(tmp_path / "root/MNIST/raw", names)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8b cut short")
    (raw / "train-labels-idx1-ubyte.gz").unlink(missing_ok=True)
    download_from(monkeypatch, "mnist", serve(write(tmp_path / "served")))
    check("mnist", tmp_path / "root")


@pytest.mark.usefixtures("unclosed_answers")
def test_the_next_mirror_is_tried(tmp_path, monkeypatch, serve):
    (tmp_path / "empty").mkdir()
    download_from(monkeypatch, "mnist", serve(tmp_path / "empty"), serve(write(tmp_path / "served")))
    check("mnist", tmp_path / "root")


HOW_TO_GO_ON = "offline, put torchvision's files of MNIST into a folder and pass it as --data-root"


@pytest.mark.usefixtures("unclosed_answers")
def test_a_server_that_does_not_have_it(tmp_path, monkeypatch, serve):
    (tmp_path / "empty").mkdir()
    addresses = [serve(tmp_path / "empty"), serve(tmp_path / "empty")]
    download_from(monkeypatch, "mnist", *addresses)
    with pytest.raises(DataError) as caught:
        open_images("mnist", data_root=tmp_path / "root")
    file = "train-images-idx3-ubyte.gz"
    assert str(caught.value) == (
        f"mnist could not be downloaded from {addresses[1]}{file} to {tmp_path}/root: Error downloading {file}: "
        f"Tried {addresses[0]}, got: HTTP Error 404: File not found "
        f"Tried {addresses[1]}, got: HTTP Error 404: File not found; {HOW_TO_GO_ON}"
    )


def test_a_server_that_refuses(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # a port that nobody listens at
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        download_from(monkeypatch, "mnist", address)
        with pytest.raises(
            DataError, match=rf"^mnist could not be downloaded from {address}.*refused.*; {HOW_TO_GO_ON}"
        ):
            open_images("mnist", data_root=tmp_path / "root")


def test_a_server_that_sends_something_else(tmp_path, monkeypatch, serve):
    served = write(tmp_path / "served")
    (served / "train-images-idx3-ubyte.gz").write_bytes(b"<html>please log in</html>")
    download_from(monkeypatch, "mnist", serve(served))
    with pytest.raises(DataError, match=r"^mnist could not be downloaded .*File not found or corrupted"):
        open_images("mnist", data_root=tmp_path / "root")


def test_a_data_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=rf"^mnist could not be read from {tmp_path}/file: .*File exists.*; {HOW_TO_GO_ON}"
    ):
        open_images("mnist", data_root=tmp_path / "file")


def test_the_real_mnist_is_downloaded_and_checked(photos, tmp_path, monkeypatch, serve):
    files = {f"{name}.gz": (photos / "mnist" / f"{name}.gz").read_bytes() for name in FILES}
    download_from(monkeypatch, "mnist", serve(photos / "mnist"), files=files)
    images = open_images("mnist", data_root=tmp_path)
    assert (len(images), images.labels[:5].tolist()) == (70_000, [5, 0, 4, 1, 9])
    assert (images.read(69_999) == open_images(photos / "mnist").read(69_999)).all()
