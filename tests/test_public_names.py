"""What ``import fieldguide as fg`` offers: this list is a promise."""

import importlib.metadata
from pathlib import Path

import pytest

import fieldguide as fg

PUBLIC = {
    "Evaluation", "FieldguideError", "Guide", "ImageSet", "Prediction", "Preprocess", "SkippedPhoto",
    "__version__", "check", "create_model", "ensemble", "features", "find_lr", "finetune", "load", "load_model",
    "open_images", "pretrain", "report", "resume", "resume_pretraining", "summary", "train", "train_network",
}  # fmt: skip


def test_the_public_names_are_these():
    assert set(fg.__all__) == PUBLIC == set(dir(fg))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_and_says_what_it_is(name):
    value = getattr(fg, name)
    assert getattr(fg, name) is value or name == "__version__"
    assert name == "__version__" or (value.__name__ == name and value.__doc__)


def test_the_type_checker_sees_the_same_names():
    lines = Path(fg.__file__).read_text(encoding="utf-8").splitlines()
    stated = {line.split()[-1] for line in lines if line.startswith("    from fieldguide")}
    assert stated == PUBLIC - {"__version__"}


def test_the_version_is_the_installed_one():
    assert fg.__version__ == importlib.metadata.version("fieldguide")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fieldguide' has no attribute 'trian'"):
        fg.trian  # noqa: B018
