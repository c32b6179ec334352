"""The command line: one file a subcommand. Only this package prints and exits."""

import importlib
import pkgutil
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; exit with 0, or with 2 and one line for a user's mistake."""
    from fieldguide.cli._app import app
    from fieldguide.errors import FieldguideError

    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
    try:
        code = app(standalone_mode=False)
    except FieldguideError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("fieldguide: interrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except Exception as error:
        describe = getattr(error, "format_message", None)  # a wrong call, as typer's parser reports it
        if describe is None:
            raise
        fail(f"{describe()} See: fieldguide --help")
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str) -> NoReturn:
    """Print one line and exit with 2."""
    line = " ".join(message.split())
    print(f"fieldguide: {line}", file=sys.stderr)
    sys.exit(2)
