"""Names, discovery by folder, and what an unknown name is told."""

import importlib
import sys

import pytest

from fieldguide.errors import UnknownNameError
from fieldguide.registry import Registry, did_you_mean

PLUG_INS = {
    "__init__.py": """
from fieldguide.registry import Registry
BIRDS = Registry('bird', __name__)
EGGS = Registry('egg', __name__, listing='look into the nest')
""",
    "owls.py": "from . import BIRDS\n\nBIRDS.add('barn_owl', lambda: 'hoo', 2)\n",
    "ducks.py": "from . import BIRDS\n\nBIRDS.add('pond-duck', lambda: 'quack', 2)\n",
    "_private.py": "raise RuntimeError('a module with an underscore is not a plug-in')\n",
}


@pytest.fixture
def birds(tmp_path, monkeypatch) -> Registry:
    """A registry whose plug-ins are files of a package, made anew under its own name."""
    package = tmp_path / tmp_path.name
    package.mkdir()
    for name, source in PLUG_INS.items():
        (package / name).write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return __import__(package.name).BIRDS


def test_every_module_of_the_package_registers_itself(birds):
    assert birds.names() == ["barn_owl", "pond-duck"]
    assert [entry.name for entry in birds.entries()] == birds.names()
    assert birds["pond-duck"].factory() == "quack"
    assert birds["barn_owl"].facts == 2
    assert "barn_owl" in birds
    assert "robin" not in birds


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("barn_owel", "^no bird is called 'barn_owel', did you mean 'barn_owl'[?]$"),
        ("zebra", "^no bird is called 'zebra'; known: barn_owl, pond-duck$"),
        ("", "^no bird is called ''; known: "),
    ],
)
def test_an_unknown_name_is_told_with_the_near_ones_or_all(birds, name, message):
    with pytest.raises(UnknownNameError, match=message):
        birds[name]


def test_a_long_list_of_names_is_only_pointed_at(birds):
    eggs = importlib.import_module(birds._package).EGGS
    with pytest.raises(UnknownNameError, match=r"^no egg is called 'blue'; look into the nest$"):
        eggs["blue"]


def test_a_name_that_is_found_imports_no_further_modules(birds):
    assert birds["pond-duck"].factory() == "quack"
    assert f"{birds._package}.owls" not in sys.modules


def test_a_name_is_registered_once(birds):
    with pytest.raises(ValueError, match="bird 'robin' is registered twice; names must be unique"):
        for _ in range(2):
            birds.add("robin", lambda: None, 2)


def test_a_plug_in_that_fails_says_so_each_time(birds, tmp_path):
    (tmp_path / tmp_path.name / "finch.py").write_text("import no_such_library\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_library"):
            birds.names()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rose", ", did you mean 'roses'?"),
        ("roses", ", did you mean 'roses' or 'rosen'?"),
        ("tulip", ""),
    ],
)
def test_did_you_mean_names_the_near_ones(name, hint):
    assert did_you_mean(name, ["roses", "daisies"] + ["rosen"] * (name == "roses")) == hint
