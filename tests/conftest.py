"""What tests share: real photos where they are at hand, small image folders, and the command line as a process."""

import ctypes
import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import fieldguide as fg
from colour_photos import COLOURS, write_colours, write_photo
from fieldguide.models import MODELS

# The networks here are small: torch's threads would mostly wait for each other, and spin while they do. As many in
# this process as in those that tests start, or bits would differ between them.
torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))

LARGE_PARAMS = 60e6  # of networks that take gigabytes beside their reference, with gradients

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FIELDGUIDE_DATA") or ROOT.parent / "shared" / "data")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add this project's flags."""
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")
    parser.addoption("--renew-golden", action="store_true", help="write the texts in tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "slow: takes minutes; run with --slow")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests unless they are asked for; keep large networks to one process: they fill it."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        name = parameters.get("network", parameters.get("name"))
        if isinstance(name, str) and name in MODELS and MODELS[name].facts.params > LARGE_PARAMS:
            item.add_marker(pytest.mark.xdist_group("large networks"))
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Give freed memory back to the system: glibc keeps it, in pieces that later networks don't fit."""
    if sys.platform == "linux":
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if malloc_trim:
            malloc_trim(0)


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the one in tests/golden: ``check_golden("help.txt", text)``."""

    def check(name: str, text: str) -> None:
        file = ROOT / "tests" / "golden" / name
        if request.config.getoption("--renew-golden"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), "if the change is meant: pytest --renew-golden"

    return check


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos; tests that need it are skipped, by name, where it is not there."""
    if not DATA.is_dir():
        pytest.skip(f"needs real photos: set FIELDGUIDE_DATA (looked in {DATA})")
    return DATA


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache out of the tests, and the converted network across them."""
    os.environ["FIELDGUIDE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _same_chance_each_time() -> None:
    """Let networks begin from the same weights in each run of a test."""
    torch.manual_seed(0)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(folder))
    return folder


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does: ``run("train", folder)``."""

    def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fieldguide", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            timeout=300,
            check=False,
        )

    return run_command


@pytest.fixture
def colour_folder(tmp_path: Path) -> Path:
    """An image folder of three colours, 12 photos each, to do with as a test likes."""
    return write_colours(tmp_path / "colours")


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, to read only."""
    return write_colours(tmp_path_factory.mktemp("shared") / "colours")


@pytest.fixture(scope="session")
def colour_guide(colours: Path) -> "fg.Guide":
    """A guide to three colours."""
    return fg.train(colours)


@pytest.fixture(scope="session")
def saved_guide(colour_guide: "fg.Guide", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved, to read only."""
    return colour_guide.save(tmp_path_factory.mktemp("guides") / "colours.guide")


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write an image folder: ``image_folder({"train/red": 5, "val/red": 2})``; no two photos are the same."""
    written = 0

    def write(counts: dict[str, int], name: str = "photos") -> Path:
        nonlocal written
        for place, count in counts.items():
            own = np.random.default_rng(list(Path(place).name.encode())).integers(30, 225, 3).tolist()
            for _ in range(count):
                written += 1
                path = tmp_path / name / place / f"{written:04d}.png"
                write_photo(path, COLOURS.get(Path(place).name, own), seed=10_000 + written)
        return tmp_path / name

    return write


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Serve folders over HTTP on loopback: ``serve(folder)`` returns the address, with a slash at its end."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        handler = functools.partial(_QuietHandler, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
