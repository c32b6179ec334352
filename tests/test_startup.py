"""Start-up is quick because nothing is imported that is not needed. What is imported is checked; time is not."""

import json
import pkgutil
import subprocess
import sys

import pytest
from PIL import Image

import fieldguide.cli

HEAVY = {"torch", "torchvision", "timm", "openvino", "sklearn", "scipy", "pyarrow", "numpy", "PIL", "matplotlib",
         "accelerate"}  # fmt: skip

COMMANDS = sorted(
    m.name.replace("_", "-") for m in pkgutil.iter_modules(fieldguide.cli.__path__) if not m.name.startswith("_")
)

RUN_AND_LIST = """
import json, sys
sys.argv[0] = "fieldguide"
from fieldguide.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
print("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules if sys.modules[name]})]))
"""


def modules_of(code: str) -> set[str]:
    """The packages that a process has imported after running ``code``."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    return set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))


def modules_of_command(*arguments: object) -> set[str]:
    """The packages that a command imports; it must succeed."""
    command = [sys.executable, "-c", RUN_AND_LIST, *map(str, arguments)]
    code, modules = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    assert code == 0
    return set(modules)


def test_importing_fieldguide_imports_nothing_heavy():
    assert not modules_of("import fieldguide; dir(fieldguide)") & (HEAVY | {"typer", "rich", "click"})


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("FieldguideError", HEAVY),
        ("open_images", HEAVY - {"numpy", "PIL"}),
        ("create_model", HEAVY),
        ("load", HEAVY - {"numpy", "PIL"}),
        ("train", HEAVY - {"numpy", "PIL"}),
    ],
)
def test_a_public_name_imports_only_what_it_is_made_of(name, absent):
    assert not modules_of(f"import fieldguide; fieldguide.{name}") & absent


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), *((c, "--help") for c in COMMANDS)],
)
def test_help_imports_nothing_heavy(arguments):
    assert not modules_of_command(*arguments) & HEAVY


def test_predict_imports_neither_torch_nor_timm_nor_scikit_learn(saved_guide, colours, tmp_path):
    pytest.importorskip("openvino")
    known = modules_of_command("predict", saved_guide, colours / "red" / "01.png")
    assert not known & (HEAVY - {"numpy", "PIL"}), "features from the cache"
    Image.new("RGB", (31, 17), "purple").save(tmp_path / "new.png")
    new = modules_of_command("predict", saved_guide, tmp_path / "new.png")
    assert "openvino" in new and not new & (HEAVY - {"numpy", "PIL", "openvino"}), "a photo never seen"


def test_train_and_evaluate_on_known_features_start_no_network(saved_guide, colours, tmp_path):
    trained = modules_of_command("train", colours, "-o", tmp_path / "x.guide")
    assert not trained & {"torch", "torchvision", "timm", "openvino", "sklearn"}
    evaluated = modules_of_command("evaluate", saved_guide, colours)
    assert not evaluated & {"torch", "torchvision", "timm", "openvino", "sklearn", "scipy", "pyarrow"}
