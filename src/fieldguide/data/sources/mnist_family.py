"""MNIST, Fashion-MNIST and Kuzushiji-MNIST by name: IDX files, downloaded by torchvision on first use."""

from pathlib import Path

from fieldguide.data.image_set import ImageSet
from fieldguide.data.sources import register_named_source
from fieldguide.data.sources.idx import is_complete, is_idx_folder, open_idx
from fieldguide.data.sources.torchvision_sets import download_folder, downloaded, open_in_place

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@register_named_source("mnist")
def open_mnist(data_root: Path | None = None) -> ImageSet:
    """MNIST (LeCun et al., 1998): 60,000 + 10,000 handwritten digits, 28x28 grey."""
    return _open("mnist", "MNIST", _DIGITS, data_root)


@register_named_source("fashion-mnist")
def open_fashion_mnist(data_root: Path | None = None) -> ImageSet:
    """Fashion-MNIST (Xiao et al., 2017): 60,000 + 10,000 articles of clothing, 28x28 grey."""
    return _open("fashion-mnist", "FashionMNIST", _CLOTHES, data_root)


@register_named_source("kmnist")
def open_kmnist(data_root: Path | None = None) -> ImageSet:
    """Kuzushiji-MNIST (Clanuwat et al., 2018): 60,000 + 10,000 cursive Japanese characters, 28x28 grey."""
    return _open("kmnist", "KMNIST", _KUZUSHIJI, data_root)


def _open(name: str, torchvision_name: str, class_names: tuple[str, ...], data_root: Path | None) -> ImageSet:
    root = download_folder(data_root)
    for folder in (root / name, root):
        if is_idx_folder(folder):
            return open_idx(folder, class_names)
    in_place = open_in_place(root / name)
    if in_place is not None:
        return in_place
    raw = root / torchvision_name / "raw"
    if not is_complete(raw):  # a download that was interrupted goes on
        downloaded(name, torchvision_name, root, {"train": True})
    return open_idx(raw, class_names)
