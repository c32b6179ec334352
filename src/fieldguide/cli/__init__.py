"""The command line: one file per subcommand. Only this package prints and exits."""

import gc
import importlib
import io
import os
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import NoReturn, TextIO

from fieldguide import launched
from fieldguide.cli import _interrupts
from fieldguide.errors import FieldguideError, FieldguideWarning, StoppedError

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main() -> NoReturn:
    """Run the command line; exit with 0, with 2 and one line for a user's mistake, with 130 when interrupted."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    own_stderr = sys.stderr
    if launched.rank():  # the first of several processes speaks for all
        sys.stdout = sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of photos come in every script, terminals don't
    _interrupts.watch()
    warnings.showwarning = _show_warning
    try:
        code = _run()
        if code == _INTERRUPTED:  # typer has caught it
            raise KeyboardInterrupt
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if launched.num_processes() > 1:
            _interrupts.hear_no_end()
        sys.stderr = own_stderr if _is_to_say_why() else _nowhere()
        code = _explain(error)
    gc.freeze()  # else Python looks for garbage in all that was ever imported, a tenth of a second, only to exit
    sys.exit(code)


def fail(message: str) -> NoReturn:
    """Print one line and exit with 2."""
    line = " ".join(message.split())
    print(f"fieldguide: {line}", file=sys.stderr)
    sys.exit(2)


_show_any_warning = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print one of ours as one line, without the place in the code; others as Python does."""
    if issubclass(category, FieldguideWarning):
        print(f"fieldguide: {message}", file=sys.stderr)
    else:
        _show_any_warning(message, category, filename, lineno, file, line)


def _run() -> int:
    """Run the subcommand that was asked for, and return the exit code."""
    from fieldguide.cli._app import app

    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
    try:
        code = app(prog_name="fieldguide", standalone_mode=False)
    except SystemExit as error:  # typer's answer to a closed pipe is to exit with 1
        raise BrokenPipeError from error
    except Exception as error:
        describe = getattr(error, "format_message", None)  # a wrong call, as typer's parser reports it
        if describe is None:
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "fieldguide"
        message = _with_value(describe(), error) or "no command was given"
        fail(f"{message}{'' if message.endswith('?') else '.'} See: {command} --help")
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong, and return the exit code. What is no one's mistake but ours is raised."""
    if isinstance(error, KeyboardInterrupt) or _interrupts.has_arrived():
        print("fieldguide: interrupted; what was finished is kept", file=sys.stderr)
        return _INTERRUPTED
    if isinstance(error, StoppedError):
        print(f"fieldguide: {error}", file=sys.stderr)
        return 128 + error.signal_number
    if isinstance(error, FieldguideError):
        fail(str(error))
    if isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
        _discard_output()
        return 0
    if isinstance(error, OSError):
        _discard_output()
        fail(f"{error.filename2 or error.filename or 'the output'}: {error.strerror or error}")
    raise error


def _is_to_say_why() -> bool:
    """Whether a process that fails is to say why: of several that fail together, the first does."""
    if launched.num_processes() == 1:
        return True
    from fieldguide.training.compute.processes import is_first_to_fail

    return is_first_to_fail()


def _with_value(message: str, error: Exception) -> str:
    """Return typer's message with the value that was given, which it leaves out where pydantic refused it."""
    message = message.replace("Value error, ", "").rstrip(".")
    refusals = getattr(error.__cause__, "errors", None)
    value = repr(refusals()[0]["input"]) if refusals else ""
    return message if value in message else f"{message}, not {value}"


def _nowhere() -> TextIO:
    """Return what stands in for a stream that was closed before the start, as some daemons do."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _discard_output() -> None:
    """Send what is still to be written nowhere, so that Python does not stumble over it as it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
