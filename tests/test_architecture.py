"""Imports go one way. This test walks them all, those inside functions too, and fails on any other arrow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fieldguide

PACKAGE = Path(fieldguide.__file__).parent
BASE = {"errors", "registry", "progress", "paths", "launched", "libraries", "hardware", "words"}

# Each part of the package, and the parts that it may import. A part may import itself.
ALLOWED = {
    "errors":       set(),
    "progress":     set(),
    "paths":        set(),
    "launched":     set(),
    "libraries":    set(),
    "hardware":     set(),
    "words":        set(),
    "registry":     {"errors"},
    "data":         BASE,
    "layers":       set(),
    "models":       BASE | {"layers"},                   # and never data
    "introspection": BASE | {"models"},                  # what a network does, without computing
    "cost":         BASE | {"introspection", "models"},
    "feature_maps": BASE | {"introspection", "models"},
    "pictures":     {"errors", "paths"},                 # and plain numbers only
    "weights":      BASE | {"data", "layers", "models"},
    "pages":        BASE | {"data"},
    "embed":        BASE | {"data", "models", "weights"},
    "evaluate":     {"errors", "data"},
    "head":         BASE,
    "doctor":       BASE | {"data", "embed", "evaluate", "head", "pages", "weights"},
    "guide_format": BASE | {"weights"},
    "guide":        BASE | {"data", "weights", "embed", "evaluate", "head", "guide_format"},
    "ensembles":    BASE | {"data", "evaluate", "guide"},
    "explain":      BASE | {"data", "feature_maps", "guide", "introspection"},
    "reports":      BASE | {"data", "embed", "evaluate", "explain", "guide", "head", "pages",
                            "pictures"},
    "training":     BASE | {"cost", "data", "doctor", "embed", "ensembles", "evaluate", "guide", "guide_format",
                            "head", "introspection", "layers", "models", "pictures", "reports", "weights"},
    "weak_spots":   BASE | {"data", "doctor", "embed", "evaluate", "guide"},
    "compare":      BASE | {"cost", "data", "introspection", "models", "training"},
    "cli":          BASE | {"compare", "cost", "data", "doctor", "embed", "ensembles", "evaluate",
                            "explain", "feature_maps", "guide", "guide_format", "introspection", "models",
                            "pictures", "reports", "training", "weak_spots", "weights"},
    "__init__":     {"errors", "data", "doctor", "models", "weights", "cost", "feature_maps", "ensembles",
                     "evaluate", "guide", "reports", "training"},   # the public names
    "__main__":     {"cli"},
}  # fmt: skip


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the module in full"
            for alias in node.names:  # `from fieldguide import guide` imports fieldguide.guide
                yield (
                    node.lineno,
                    f"{node.module}.{alias.name}" if node.module == "fieldguide" else str(node.module),
                )


def test_every_part_of_the_package_has_its_row():
    found = {part_of(path) for path in PACKAGE.rglob("*.py")}
    assert found == set(ALLOWED), "a new part states here what it may import"


def test_the_allowed_arrows_make_no_circle():
    seen: set[str] = set()
    while ready := {part for part, uses in ALLOWED.items() if part not in seen and uses <= seen}:
        seen |= ready
    assert seen == set(ALLOWED)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_allowed_arrows(path):
    part = part_of(path)
    for line, module in imported(path):
        top, _, rest = module.partition(".")
        if top == "fieldguide" and part != "__init__":
            target = rest.split(".")[0]
            assert target == part or target in ALLOWED[part], f"{path}:{line}: {part} must not import {target}"


def test_the_public_names_come_from_allowed_parts():
    assert {module.split(".")[1] for module in fieldguide._MODULES.values()} <= ALLOWED["__init__"]


def test_only_the_command_line_prints_or_exits():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert part_of(path) == "cli" or name not in ("print", "sys.exit", "exit", "quit"), (
                f"{path}:{node.lineno}"
            )


def test_no_pickle_is_read_or_written():
    for path in PACKAGE.rglob("*.py"):
        modules = {module.split(".")[0] for _, module in imported(path)}
        assert not modules & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}, path
        source = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in source and "torch.save(" not in source, path
        loads = source.count("torch.load(") + source.count("load_state_dict_from_url(")
        assert loads == source.count("weights_only=True"), path


def test_the_list_for_contributors_names_every_part():
    text = (PACKAGE.parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text.partition("## Where things are")[2].partition("##")[0]
    assert [part for part in ALLOWED if not part.startswith("__") and part not in listed] == []
