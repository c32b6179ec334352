"""What the command line says of itself."""

import importlib.metadata
import pkgutil

import pytest

import fieldguide.cli

MODULES = [m.name for m in pkgutil.iter_modules(fieldguide.cli.__path__) if not m.name.startswith("_")]
COMMANDS = sorted(name.replace("_", "-") for name in MODULES)
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_the_golden_text(run, check_golden, command):
    result = run(*command.split(), "--help", **PLAIN)
    assert result.returncode == 0 and result.stderr == ""
    check_golden(f"help{'-' * bool(command)}{command}.txt", "\n".join(map(str.rstrip, result.stdout.splitlines())))


def test_every_file_of_a_command_is_a_command(run):
    assert "train" in COMMANDS
    assert [c for c in COMMANDS if f" {c} " in run("-h", **PLAIN).stdout] == COMMANDS


def test_version(run):
    result = run("--version")
    assert result.stdout == f"fieldguide {importlib.metadata.version('fieldguide')}\n"
    assert result.returncode == 0 and result.stderr == ""
