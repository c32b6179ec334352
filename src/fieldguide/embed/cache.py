"""Features on disk: one SQLite file per backbone and preprocessing, keyed by what each photo holds.

SQLite brings what several processes and a kill at any moment ask for: locks, transactions, a journal.
"""

import contextlib
import math
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fieldguide.errors import CacheError
from fieldguide.paths import cache_folder

Features = npt.NDArray[np.float16]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS features (digest BLOB PRIMARY KEY, feature BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_WAIT_S = 60  # for another process that writes
_DEFAULT_GB = 4.0  # 1.5 million photos of 1280 features
_TRIM_TO = 0.8  # of the cap, so that not every run trims


class _Connection(sqlite3.Connection):
    """A connection that is closed when its thread ends; Python 3.13 warns of one that is left to the collector."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # it never opened
            self.close()


class FeatureCache:
    """The features of one backbone and preprocessing. Threads and processes may share it.

    A cache that can't be used (no space, no permission, a damaged file) only costs time: it stays empty, and
    ``fault`` says why.

    Args:
        fingerprint: of the backbone and preprocessing; it names the file.
        about: what it is, for people.

    Raises:
        CacheError: the size cap is no number above 0.
    """

    def __init__(self, fingerprint: str, about: str) -> None:
        max_bytes()  # a wrong cap is refused before the work, not after it
        self.path = features_folder() / f"{fingerprint}.sqlite"
        self.fault: str | None = None
        self._local = threading.local()
        with self._guarded():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.executescript(_SCHEMA)
                connection.execute("INSERT OR IGNORE INTO about VALUES ('backbone', ?)", (about,))
            os.utime(self.path)  # used now: trim_cache goes by it

    def get(self, digest: bytes) -> Features | None:
        """Return the feature (D,) of the photo with that content digest, if it is known."""
        if self.fault:
            return None
        with self._guarded():
            row = self._connection().execute("SELECT feature FROM features WHERE digest = ?", (digest,)).fetchone()
            return None if row is None else np.frombuffer(row[0], np.float16)
        return None

    def put(self, digests: Sequence[bytes], features: Sequence[Features]) -> None:
        """Keep N features (D,) under their photos' digests: all of them or, if interrupted, none."""
        if self.fault or not digests:
            return
        rows = [(digest, feature.tobytes()) for digest, feature in zip(digests, features, strict=True)]
        with self._guarded(), self._connection() as connection:
            connection.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.fault = f"the feature cache {self.path} can't be used ({error}); features are not kept"

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=_WAIT_S, check_same_thread=False, factory=_Connection)
            with contextlib.suppress(sqlite3.OperationalError):  # another process is turning the new file to WAL
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
        return connection


def features_folder() -> Path:
    """Return where the features of all backbones are kept."""
    return cache_folder() / "features"


def max_bytes() -> int:
    """Return how much the features may take: ``FIELDGUIDE_CACHE_GB``, or 4 GB.

    Raises:
        CacheError: the variable is no number above 0.
    """
    value = os.environ.get("FIELDGUIDE_CACHE_GB", "")
    try:
        size = float(value) if value else _DEFAULT_GB
    except ValueError:
        size = -1.0
    if not 0 < size < float("inf"):
        raise CacheError(f"FIELDGUIDE_CACHE_GB is {value!r}; it must be a number of gigabytes above 0, such as 4")
    return int(size * 1e9)


def trim_cache() -> None:
    """Bring the features under their cap: the oldest of the backbones used least recently go first."""
    cap = max_bytes()
    with contextlib.suppress(OSError):  # another process cleared the cache meanwhile, or it is out of reach
        oldest_first = sorted(features_folder().glob("*.sqlite"), key=lambda path: path.stat().st_mtime)
        sizes = {path: _size(path) for path in oldest_first}
        excess = sum(sizes.values()) - cap
        if excess > 0:
            excess += int((1 - _TRIM_TO) * cap)
        for path, size in sizes.items():
            if excess > 0 and size:
                _remove_oldest(path, share=min(1.0, excess / size))
                excess -= size - _size(path)


def _remove_oldest(path: Path, share: float) -> None:
    last_used = path.stat().st_mtime_ns
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as db,
    ):
        with db:
            (count,) = db.execute("SELECT count(*) FROM features").fetchone()
            db.execute(
                "DELETE FROM features WHERE rowid IN (SELECT rowid FROM features ORDER BY rowid LIMIT ?)",
                (math.ceil(share * count),),
            )
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.utime(path, ns=(last_used, last_used))


@dataclass(frozen=True)
class CacheEntry:
    """One thing that is kept.

    Args:
        kind: "features", "network", "weights" or "set".
        name: of what.
        photos: how many photos' features it holds.
        num_bytes: on disk.
    """

    kind: str
    name: str
    photos: int | None
    num_bytes: int


def list_cache() -> list[CacheEntry]:
    """Return what is kept, by kind."""
    entries = [_features_entry(path) for path in sorted(features_folder().glob("*.sqlite"))]
    for kind, folder in (("network", "networks"), ("weights", "weights"), ("set", "sets")):
        for path in sorted((cache_folder() / folder).glob("[!.]*")):
            if num_bytes := _size(path):  # a download that failed leaves an empty folder
                entries.append(CacheEntry(kind, path.name, None, num_bytes))
    return entries


def clear_cache() -> int:
    """Remove everything but downloaded sets. Returns the bytes that were freed.

    Raises:
        CacheError: something can't be removed.
    """
    folders = [cache_folder() / name for name in ("features", "networks", "weights")]
    freed = sum(_size(folder) for folder in folders)
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except (FileNotFoundError, NotADirectoryError):  # nothing was kept, or another process clears too
            continue
        except OSError as error:
            raise CacheError(f"{error.filename or folder} can't be removed: {error.strerror}") from error
    return freed - sum(_size(folder) for folder in folders)


def _features_entry(path: Path) -> CacheEntry:
    name, photos = path.stem, None
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as db:
        (photos,) = db.execute("SELECT count(*) FROM features").fetchone()
        name = dict(db.execute("SELECT key, value FROM about")).get("backbone", name)
    return CacheEntry("features", name, photos, _size(path))


def _size(path: Path) -> int:
    """Return the bytes of a folder, or of a file and of SQLite's journals beside it."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sum(map(_file_size, files))


def _file_size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError:  # SQLite removes its journals when it is done with them
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
