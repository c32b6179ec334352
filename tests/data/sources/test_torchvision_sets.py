"""torchvision's named sets: tiny ones in torchvision's own layout, on the disk or behind a server on loopback."""

import gc
import importlib
import json
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fieldguide.data import ImageSet, open_images
from fieldguide.data.decode import decode
from fieldguide.data.sources.torchvision_sets import SETS
from fieldguide.errors import DataError, PhotoError
from fieldguide.libraries import import_torchvision

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*tar archives:DeprecationWarning"
)  # torchvision's, from Python 3.12

WNIDS = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
    "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
)  # fmt: skip


def write(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 12), (20 * number, 0, 100)).save(path, "JPEG", quality=95)


def pixels(count: int, side: int) -> np.ndarray:
    """``count`` pictures (count, 3, side, side): a top row of its own number, the rest black."""
    values = np.zeros((count, 3, side, side), np.uint8)
    values[:, :, 0] = np.arange(count)[:, None, None]
    return values


def write_batch(path: Path, count: int, labels: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"data": pixels(count, 32).reshape(count, -1), labels: list(range(count))}))


def cifar10(root: Path) -> None:
    for file, count in {**{f"data_batch_{i}": 2 for i in range(1, 6)}, "test_batch": 3}.items():
        write_batch(root / "cifar-10-batches-py" / file, count, "labels")
    names = pickle.dumps({"label_names": [f"class {i}" for i in range(10)]})
    (root / "cifar-10-batches-py/batches.meta").write_bytes(names)


def cifar100(root: Path) -> None:
    for file, count in {"train": 4, "test": 2}.items():
        write_batch(root / "cifar-100-python" / file, count, "fine_labels")
    names = pickle.dumps({"fine_label_names": [f"class {i}" for i in range(100)]})
    (root / "cifar-100-python/meta").write_bytes(names)


def stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for part, count in (("train", 3), ("test", 2)):
        (folder / f"{part}_X.bin").write_bytes(pixels(count, 96).transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes(range(1, count + 1)))
    (folder / "unlabeled_X.bin").write_bytes(b"")
    (folder / "class_names.txt").write_text("\n".join(f"class {i}" for i in range(10)))


def svhn(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 3), ("test", 2)):
        digits = np.array([10, 1, 2][:count], np.uint8)[:, None]  # 10 stands for the digit 0
        savemat(root / f"{part}_32x32.mat", {"X": pixels(count, 32).transpose(2, 3, 1, 0), "y": digits})


def country211(root: Path) -> None:
    for number, place in enumerate(("train/AD", "train/ZW", "valid/AD", "test/ZW")):
        write(root / "country211" / place / f"{number}.jpg", number)


def dtd(root: Path) -> None:
    for number, (part, name) in enumerate(
        (("train", "banded"), ("train", "zigzagged"), ("val", "banded"), ("test", "banded"))
    ):
        write(root / f"dtd/dtd/images/{name}/{name}_{number}.jpg", number)
        labels = root / f"dtd/dtd/labels/{part}1.txt"
        labels.parent.mkdir(exist_ok=True)
        with labels.open("a") as file:
            file.write(f"{name}/{name}_{number}.jpg\n")


def eurosat(root: Path) -> None:
    for number, name in enumerate(("Forest", "Forest", "River")):
        write(root / f"eurosat/2750/{name}/{name}_{number}.jpg", number)


def fgvc_aircraft(root: Path) -> None:
    folder = root / "fgvc-aircraft-2013b/data"
    for number, part in enumerate(("train", "val", "test")):
        write(folder / f"images/{number:07d}.jpg", number)
        (folder / f"images_variant_{part}.txt").write_text(f"{number:07d} {'727-200' if number else '707-320'}\n")
    (folder / "variants.txt").write_text("707-320\n727-200\n")


def flowers102(root: Path) -> None:
    folder = root / "flowers-102"
    for number in range(1, 7):
        write(folder / f"jpg/image_{number:05d}.jpg", number)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 102, 1, 2, 2, 102]])})
    savemat(
        folder / "setid.mat",
        {"trnid": np.array([[1, 2]]), "valid": np.array([[3, 4]]), "tstid": np.array([[5, 6]])},
    )


def food101(root: Path) -> None:
    (root / "food-101/meta").mkdir(parents=True)
    for number, part in enumerate(("train", "test")):
        listed = {"apple_pie": [f"apple_pie/{number}"], "waffles": [f"waffles/{number}"]}
        (root / f"food-101/meta/{part}.json").write_text(json.dumps(listed))
        for name in listed:
            write(root / f"food-101/images/{name}/{number}.jpg", number)


def imagenette(root: Path) -> None:
    for number, wnid in enumerate(WNIDS):
        for part in ("train", "val"):
            write(root / f"imagenette2/{part}/{wnid}/{part}_{number}.JPEG", number)


def oxford_iiit_pet(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for number, name in enumerate(("Abyssinian_1", "american_bulldog_2", "Abyssinian_3", "american_bulldog_4")):
        write(folder / f"images/{name}.jpg", number)
    (folder / "annotations").mkdir()
    (folder / "annotations/trainval.txt").write_text("Abyssinian_1 1 1 1\namerican_bulldog_2 2 2 1\n")
    (folder / "annotations/test.txt").write_text("Abyssinian_3 1 1 1\namerican_bulldog_4 2 2 1\n")


def sun397(root: Path) -> None:
    for number, name in enumerate(("a/abbey", "b/bakery/shop")):
        write(root / f"SUN397/{name}/sun_{number}.jpg", number)
    (root / "SUN397/ClassName.txt").write_text("/a/abbey\n/b/bakery/shop\n")


class Layout(NamedTuple):
    """What writes a tiny set, and what opening it must find."""

    write: Callable[[Path], None]
    counts: dict[str, int]
    first_class: str
    last_class: str
    labels: list[int]


LAYOUTS = {
    "cifar10": Layout(cifar10, {"train": 10, "test": 3}, "class 0", "class 9", [0, 1] * 5 + [0, 1, 2]),
    "cifar100": Layout(cifar100, {"train": 4, "test": 2}, "class 0", "class 99", [0, 1, 2, 3, 0, 1]),
    "country211": Layout(country211, {"train": 2, "val": 1, "test": 1}, "AD", "ZW", [1, 0, 1, 0]),
    "dtd": Layout(dtd, {"train": 2, "val": 1, "test": 1}, "banded", "zigzagged", [0, 1, 0, 0]),
    "eurosat": Layout(eurosat, {"": 3}, "Forest", "River", [0, 0, 1]),
    "fgvc-aircraft": Layout(fgvc_aircraft, {"train": 1, "val": 1, "test": 1}, "707-320", "727-200", [0, 1, 1]),
    "flowers102": Layout(
        flowers102, {"train": 2, "val": 2, "test": 2}, "pink primrose", "blackberry lily", [0, 101, 0, 1, 1, 101]
    ),
    "food101": Layout(food101, {"train": 2, "test": 2}, "apple_pie", "waffles", [0, 1, 0, 1]),
    "imagenette": Layout(imagenette, {"train": 10, "val": 10}, "tench", "parachute", [*range(10), *range(10)]),
    "oxford-iiit-pet": Layout(
        oxford_iiit_pet, {"train": 2, "test": 2}, "Abyssinian", "American Bulldog", [0, 1, 0, 1]
    ),
    "stl10": Layout(stl10, {"train": 3, "test": 2}, "class 0", "class 9", [0, 1, 2, 0, 1]),
    "sun397": Layout(sun397, {"": 2}, "abbey", "bakery/shop", [0, 1]),
    "svhn": Layout(svhn, {"train": 3, "test": 2}, "0", "9", [0, 1, 2, 0, 1]),
}


@pytest.fixture
def download_from(monkeypatch):
    """Make torchvision ask another server for its files, and check no sums: ours are not the real files."""
    import_torchvision()
    utils = importlib.import_module("torchvision.datasets.utils")
    redirected = utils._get_redirect_url

    def download_from(server: str) -> None:
        monkeypatch.setattr(utils, "check_md5", lambda *_: True)
        monkeypatch.setattr(
            utils, "_get_redirect_url", lambda url, max_hops: redirected(server + url.rpartition("/")[2], max_hops)
        )

    return download_from


@pytest.fixture
def no_download(download_from):
    download_from("http://127.0.0.1:9/")


def packed(folder: Path, archive: Path) -> None:
    """Pack the contents of a folder as a .zip, or as a .tar.gz."""
    archive.parent.mkdir(exist_ok=True)
    if archive.suffix == ".zip":
        shutil.make_archive(str(archive.with_suffix("")), "zip", folder)
        return
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)


def check(name: str, images: ImageSet) -> None:
    layout = LAYOUTS[name]
    assert {str(part): int((images.parts == part).sum()) for part in np.unique(images.parts)} == layout.counts
    assert (images.class_names[0], images.class_names[-1]) == (layout.first_class, layout.last_class)
    assert images.labels.tolist() == layout.labels
    assert len(set(images.photo_names)) == len(images)
    assert {min(decode(images.read(i)).size) for i in range(len(images))} <= {12, 32, 96}


def test_every_named_set_is_tested():
    assert LAYOUTS.keys() == SETS.keys()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.usefixtures("no_download")
def test_a_set_in_torchvisions_own_layout_is_read_without_a_download(name, tmp_path):
    LAYOUTS[name].write(tmp_path)
    images = open_images(name, data_root=tmp_path)
    check(name, images)
    assert images.name in (name, f"{tmp_path}/{name}")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10", "svhn"])
@pytest.mark.usefixtures("no_download")
def test_pictures_out_of_arrays_are_upright_and_in_order(name, tmp_path):
    LAYOUTS[name].write(tmp_path)
    picture = open_images(name, data_root=tmp_path).read(1)
    assert (picture[0] == 1).all()
    assert (picture[1:] == 0).all()


@pytest.mark.parametrize("name", ["eurosat", "dtd", "oxford-iiit-pet", "food101", "imagenette", "fgvc-aircraft"])
@pytest.mark.usefixtures("no_download")
def test_photos_in_files_are_left_undecoded(name, tmp_path):
    LAYOUTS[name].write(tmp_path)
    images = open_images(name, data_root=tmp_path)
    assert all(images.read(i) == (tmp_path / images.photo_names[i]).read_bytes() for i in range(len(images)))


@pytest.mark.usefixtures("no_download")
def test_a_bad_photo_of_a_named_set_spoils_only_itself(tmp_path):
    oxford_iiit_pet(tmp_path)
    (tmp_path / "oxford-iiit-pet/images/Abyssinian_1.jpg").write_bytes(b"")
    images = open_images("oxford-iiit-pet", data_root=tmp_path)
    with pytest.raises(PhotoError, match="empty file"):
        images.read(0)
    assert decode(images.read(1)).size == (16, 12)


ARCHIVES = {  # name -> archive -> the folder of the layout that it holds
    "cifar10": {"cifar-10-python.tar.gz": ""},
    "eurosat": {"EuroSAT.zip": "eurosat"},
    "imagenette": {"imagenette2.tgz": ""},
    "oxford-iiit-pet": {"images.tar.gz": "oxford-iiit-pet", "annotations.tar.gz": "oxford-iiit-pet"},
    "svhn": {},  # two plain files
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_download_on_first_use_and_none_on_the_second(name, tmp_path, serve, download_from, own_cache):
    served = tmp_path / "served"
    LAYOUTS[name].write(served)
    for archive, folder in ARCHIVES[name].items():
        packed(served / folder, served / archive)
    download_from(serve(served))
    check(name, open_images(name))
    shutil.rmtree(served)
    check(name, open_images(name))
    assert (own_cache / "sets").is_dir()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("name", ["eurosat", "dtd", "oxford-iiit-pet", "cifar10", "svhn", "flowers102"])
def test_a_download_that_fails_says_what_was_tried_and_how_to_go_on(name, tmp_path, serve, download_from):
    (tmp_path / "served").mkdir()
    server = serve(tmp_path / "served")
    download_from(server)
    for _ in range(2):  # what the first try leaves behind does not change what the second says
        with pytest.raises(DataError) as caught:
            open_images(name, data_root=tmp_path / "root")
        message = str(caught.value)
        assert message.startswith(f"{name} could not be downloaded from {server}")
        assert message.endswith(
            f" to {tmp_path}/root: HTTP Error 404: File not found; offline, put torchvision's files of "
            f"{SETS[name].torchvision_name} into a folder and pass it as --data-root"
        )
    del caught
    gc.collect()  # torchvision leaves the answers open; let them go here, not in a later test


def test_an_archive_that_arrived_damaged(tmp_path, serve, download_from):
    served, root = tmp_path / "served", tmp_path / "root"
    served.mkdir()
    (served / "EuroSAT.zip").write_bytes(b"cut short")
    download_from(serve(served))
    with pytest.raises(
        DataError, match=r"^eurosat could not be downloaded from http.*: File is not a zip file; offline"
    ):
        open_images("eurosat", data_root=root)
    (root / "eurosat/EuroSAT.zip").unlink()  # in its place the check of its sum, which is off here
    eurosat(tmp_path / "layout")
    packed(tmp_path / "layout/eurosat", served / "EuroSAT.zip")
    check("eurosat", open_images("eurosat", data_root=root))


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_1", "unpickling stack underflow"),
        ("svhn", "train_32x32.mat", "Mat file appears to be truncated"),
        ("food101", "food-101/meta/train.json", "Expecting value"),
        ("oxford-iiit-pet", "oxford-iiit-pet/annotations/trainval.txt", "not enough values to unpack"),
        ("dtd", "dtd/dtd/labels/train1.txt", "not enough values to unpack"),
    ],
)
@pytest.mark.usefixtures("no_download")
def test_a_damaged_file_is_a_data_error(name, file, reason, tmp_path):
    LAYOUTS[name].write(tmp_path)
    (tmp_path / file).write_text("spoilt\n")
    with pytest.raises(
        DataError, match=rf"^{name} could not be read from {tmp_path}: {reason}.*; offline, put torch"
    ):
        open_images(name, data_root=tmp_path)


def test_a_split_image_folder_of_that_name_is_read_in_place(tmp_path):
    for number, place in enumerate(("train/a", "train/b", "test/a")):
        write(tmp_path / "stl10" / place / "1.jpg", number)
    images = open_images("stl10", data_root=tmp_path)
    assert (images.name, images.class_names, images.is_split) == (f"{tmp_path}/stl10", ("a", "b"), True)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_folder_of_parquet_of_that_name_is_read_in_place(name, photos, tmp_path):
    (tmp_path / name).symlink_to(photos / "cifar10")
    images = open_images(name, data_root=tmp_path)
    assert (len(images), images.is_split) == (60_000, True)
    assert decode(images.read(59_999)).size == (32, 32)


def test_one_parquet_file_under_that_name_is_read_in_place_too(photos, tmp_path):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10/test.parquet").symlink_to(photos / "cifar10/test.parquet")
    images = open_images("cifar10", data_root=str(tmp_path))
    assert (len(images), images.is_split) == (10_000, False)
