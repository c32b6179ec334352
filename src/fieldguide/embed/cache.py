"""Features on disk: one SQLite file a backbone and preprocessing, keyed by what each photo holds.

SQLite brings what several processes and a kill at any moment ask for: locks, transactions, a journal.
"""

import contextlib
import os
import shutil
import sqlite3
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


class FeatureCache:
    """The features of one backbone and preprocessing. Threads and processes may share it.

    A cache that can't be used (no space, no permission, a damaged file) only costs time: it stays empty, and
    ``fault`` says why.

    Args:
        fingerprint: of the backbone and preprocessing; it names the file.
        about: what it is, for people.
    """

    def __init__(self, fingerprint: str, about: str) -> None:
        self.path = features_folder() / f"{fingerprint}.sqlite"
        self.fault: str | None = None
        self._local = threading.local()
        with self._guarded():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.executescript(_SCHEMA)
                connection.execute("INSERT OR IGNORE INTO about VALUES ('backbone', ?)", (about,))

    def get(self, digest: bytes) -> Features | None:
        """Return the feature (D,) of the photo with that content digest, if it is known."""
        if self.fault:
            return None
        with self._guarded():
            row = self._connection().execute("SELECT feature FROM features WHERE digest = ?", (digest,)).fetchone()
            return None if row is None else np.frombuffer(row[0], np.float16)
        return None

    def put(self, digests: Sequence[bytes], features: Features) -> None:
        """Keep features (N, D) under their photos' digests: all of them or, if interrupted, none."""
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
            connection = sqlite3.connect(self.path, timeout=_WAIT_S)
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
    sizes = {path: _size(path) for path in features_folder().glob("*.sqlite")}
    excess = sum(sizes.values()) - max_bytes()
    if excess <= 0:
        return
    excess += int((1 - _TRIM_TO) * max_bytes())
    for path in sorted(sizes, key=lambda p: p.stat().st_mtime):
        share = min(1.0, excess / sizes[path])
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as db,
        ):
            with db:
                db.execute(
                    "DELETE FROM features WHERE rowid IN (SELECT rowid FROM features ORDER BY rowid "
                    "LIMIT (SELECT CAST(ceil(count(*) * ?) AS INTEGER) FROM features))",
                    (share,),
                )
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        excess -= sizes[path] - _size(path)
        if excess <= 0:
            return


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
            entries.append(CacheEntry(kind, path.name, None, _size(path)))
    return entries


def clear_cache() -> int:
    """Remove everything but downloaded sets. Returns the bytes that were freed."""
    folders = [cache_folder() / name for name in ("features", "networks", "weights")]
    freed = sum(_size(folder) for folder in folders)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return freed - sum(_size(folder) for folder in folders)


def _features_entry(path: Path) -> CacheEntry:
    name, photos = path.stem, None
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as db:
        name = db.execute("SELECT value FROM about WHERE key = 'backbone'").fetchone()[0]
        photos = db.execute("SELECT count(*) FROM features").fetchone()[0]
    return CacheEntry("features", name, photos, _size(path))


def _size(path: Path) -> int:
    """Return the bytes of a folder, or of a file and of SQLite's journals beside it."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return sum(p.stat().st_size for p in path.parent.glob(f"{path.name}*") if p.is_file())
