"""Features on disk: kept whole, shared by processes, within their cap, and never in the way."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import mean_colour
import numpy as np
import pytest
from mean_colour import colours, make_embedder, make_set, picture

from fieldguide.data.image_set import content_digest
from fieldguide.embed.cache import (
    CacheEntry,
    FeatureCache,
    clear_cache,
    features_folder,
    list_cache,
    max_bytes,
    trim_cache,
)
from fieldguide.errors import CacheError


def digests(*numbers: int) -> list[bytes]:
    return [content_digest(picture(number)) for number in numbers]


def fill(name: str, count: int, width: int = 1000) -> FeatureCache:
    """Keep ``count`` features of ``width`` numbers, in order, under digests 0, 1, 2, ..."""
    cache = FeatureCache(name, f"about {name}")
    cache.put(digests(*range(count)), np.full((count, width), 0.5, np.float16))
    return cache


def kept(path: Path) -> dict[bytes, np.ndarray]:
    """Read a cache's file as it lies, having SQLite check it first."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            digest: np.frombuffer(feature, np.float16) for digest, feature in db.execute("SELECT * FROM features")
        }


def start_process(count: int, seconds_each: float = 0) -> subprocess.Popen:
    command = [sys.executable, mean_colour.__file__, str(count), str(seconds_each)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# What is kept


def test_gives_back_what_was_put_to_the_bit(own_cache):
    features = np.array([[1, -0.0, np.inf], [6e-8, 65504, np.nan]], np.float16)
    cache = FeatureCache("a", "about")
    assert cache.get(digests(0)[0]) is None
    cache.put(digests(0, 1), features)
    for again in (cache, FeatureCache("a", "about")):
        assert [again.get(d).tobytes() for d in digests(0, 1)] == [f.tobytes() for f in features]
        assert again.get(digests(2)[0]) is None
    assert FeatureCache("b", "about").get(digests(0)[0]) is None
    assert cache.path.is_relative_to(own_cache)


def test_putting_nothing_or_the_same_again_changes_nothing(own_cache):
    cache = fill("a", 2, width=3)
    cache.put([], np.zeros((0, 3), np.float16))
    cache.put(digests(1, 1, 2), np.zeros((3, 3), np.float16))
    assert cache.fault is None
    found = kept(cache.path)
    assert [found[d][0] for d in digests(0, 1, 2)] == [0.5, 0.5, 0]


def test_as_many_digests_as_features_or_nothing_is_kept(own_cache):
    cache = FeatureCache("a", "about")
    with pytest.raises(ValueError, match="shorter"):
        cache.put(digests(0, 1), np.zeros((1, 3), np.float16))
    assert kept(cache.path) == {}


def test_threads_share_a_cache(own_cache):
    cache, faults = FeatureCache("a", "about"), []

    def work(start: int) -> None:
        for number in range(start, start + 50):
            cache.put(digests(number), np.full((1, 3), number, np.float16))
            faults.append(cache.get(digests(number)[0]) is None)

    threads = [threading.Thread(target=work, args=(50 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.fault, any(faults), len(kept(cache.path))) == (None, False, 200)


# Several processes, and a kill


def test_processes_that_start_at_once_on_an_empty_cache_all_use_it(own_cache):
    count = 1500
    processes = [start_process(count) for _ in range(3)]
    for process in processes:
        output, errors = process.communicate()
        assert (process.returncode, output.strip()) == (0, "None"), errors
    (path,) = features_folder().glob("*.sqlite")
    found = kept(path)
    assert len(found) == count
    assert [found[d].tolist() for d in digests(*range(count))] == colours(count).tolist()


def test_a_process_killed_while_writing_leaves_only_whole_entries(mean_colour_engine):
    count, right = 3000, colours(3000)
    expected = dict(zip(digests(*range(count)), right, strict=True))
    path, before = make_embedder().cache.path, 0
    for _ in range(4):
        process = start_process(count, seconds_each=0.001)
        while process.poll() is None and len(kept(path)) <= before:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        found = kept(path)
        before = len(found)
        assert all((feature == expected[digest]).all() for digest, feature in found.items())
    assert 0 < before < count  # it really was in the middle
    embedder = make_embedder()
    np.testing.assert_array_equal(embedder.embed(make_set(count)).features, right)
    assert embedder.cache.fault is None
    assert len(kept(path)) == count


def test_a_transaction_cut_off_in_the_middle_leaves_no_part_of_it(own_cache):
    fill("a", 5, width=3)
    source = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA cache_size = 1')\n"
        "rows = [(os.urandom(32), os.urandom(5000)) for _ in range(2000)]\n"
        "db.executemany('INSERT INTO features VALUES (?, ?)', rows)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = features_folder() / "a.sqlite"
    child = subprocess.run([sys.executable, "-c", source, str(path)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert path.with_name("a.sqlite-wal").stat().st_size > 5_000_000  # its pages had reached the disk
    assert sorted(kept(path)) == sorted(digests(*range(5)))


def test_processes_that_trim_at_once_do_not_disturb_each_other(own_cache, monkeypatch):
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", "0.0001")
    for process in [start_process(6000) for _ in range(3)]:
        output, errors = process.communicate()
        assert (process.returncode, output.strip()) == (0, "None"), errors
    (path,) = features_folder().glob("*.sqlite")
    expected = dict(zip(digests(*range(6000)), colours(6000), strict=True))
    assert all((feature == expected[digest]).all() for digest, feature in kept(path).items())
    assert on_disk() < 150_000


# The cap


@pytest.mark.parametrize(("value", "expected"), [("", 4e9), ("2", 2e9), ("0.001", 1e6), (" 1e1 ", 10e9)])
def test_the_cap_is_the_variables(monkeypatch, value, expected):
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", value)
    assert max_bytes() == expected
    monkeypatch.delenv("FIELDGUIDE_CACHE_GB")
    assert max_bytes() == 4e9


@pytest.mark.parametrize("value", ["0", "-1", "four", "4 GB", "nan", "inf", "1e999"])
def test_a_cap_that_is_no_number_above_zero_is_refused_before_any_work(monkeypatch, own_cache, value):
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", value)
    expected = f"FIELDGUIDE_CACHE_GB is '{value}'; it must be a number of gigabytes above 0, such as 4"
    for refuse in (max_bytes, lambda: FeatureCache("a", "about")):
        with pytest.raises(CacheError, match=expected):
            refuse()


def on_disk() -> int:
    return sum(file.stat().st_size for file in features_folder().iterdir())


def test_beyond_the_cap_the_oldest_features_go_and_the_file_shrinks(monkeypatch, own_cache):
    cache = fill("a", 1000)  # 2 kB each, and SQLite's share
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", "0.003")
    trim_cache()
    assert len(kept(cache.path)) == 1000
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", "0.001")
    trim_cache()
    assert 0.5e6 < on_disk() < 1e6
    found = kept(cache.path)
    assert sorted(found) == sorted(digests(*range(1000 - len(found), 1000)))
    assert cache.get(digests(0)[0]) is None  # the connection that was open sees it too
    cache.put(digests(0), np.zeros((1, 1000), np.float16))
    assert (cache.fault, len(kept(cache.path))) == (None, len(found) + 1)


def test_the_backbone_used_least_recently_goes_first_and_trimming_is_no_use(monkeypatch, own_cache):
    caches = {name: fill(name, 300) for name in ("first", "second", "third")}
    for age, cache in enumerate(caches.values()):
        os.utime(cache.path, (1e9 + age, 1e9 + age))
    FeatureCache("first", "about first")  # used again

    def trim_to(share: float) -> list[int]:
        monkeypatch.setenv("FIELDGUIDE_CACHE_GB", str(share * on_disk() / 1e9))
        trim_cache()
        return [len(kept(cache.path)) for cache in caches.values()]

    first, second, third = trim_to(0.95)
    assert 0 < second < 250 < third <= first  # a file has a part that can't shrink: the next makes up for it
    first, second, third = trim_to(0.7)
    assert 0 == second < third < 250 < first


def test_embedding_keeps_the_cache_within_its_cap(monkeypatch, mean_colour_engine):
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", "0.0001")
    embedder = make_embedder()
    np.testing.assert_array_equal(embedder.embed(make_set(2000)).features, colours(2000))
    assert on_disk() < 100_000
    assert len(kept(embedder.cache.path)) > 100


def test_what_is_no_cache_is_passed_over_when_trimming(monkeypatch, own_cache):
    fill("a", 1000)
    (features_folder() / "damaged.sqlite").write_bytes(b"not SQLite " * 1000)
    (features_folder() / "empty.sqlite").write_bytes(b"")
    for age, name in enumerate(("empty", "damaged", "a")):
        os.utime(features_folder() / f"{name}.sqlite", (1e9 + age, 1e9 + age))
    monkeypatch.setenv("FIELDGUIDE_CACHE_GB", "0.001")
    trim_cache()
    assert on_disk() < 1e6


@pytest.mark.parametrize("parent", ["", "file"], ids=["not there", "below a file"])
def test_where_there_is_no_cache_nothing_is_trimmed_listed_or_cleared(monkeypatch, tmp_path, parent):
    (tmp_path / "file").write_text("a regular file")
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(tmp_path / parent / "cache"))
    trim_cache()
    assert (list_cache(), clear_cache()) == ([], 0)


# Looking and clearing


def test_what_is_kept_is_listed_by_kind(own_cache):
    cache = fill("a", 3)
    for name in ("networks/abc/network.bin", "weights/lite0.safetensors", "sets/mnist/images.gz"):
        (own_cache / name).parent.mkdir(parents=True)
        (own_cache / name).write_bytes(b"12345")
    (own_cache / "weights" / ".lite0.1234.tmp").write_bytes(b"half")
    (features_folder() / "damaged.sqlite").write_bytes(b"not SQLite")
    assert list_cache() == [
        CacheEntry("features", "about a", 3, on_disk() - 10),
        CacheEntry("features", "damaged", None, 10),
        CacheEntry("network", "abc", None, 5),
        CacheEntry("weights", "lite0.safetensors", None, 5),
        CacheEntry("set", "mnist", None, 5),
    ]
    freed = on_disk() + 5 + 5 + 4
    assert clear_cache() == freed
    assert [entry.kind for entry in list_cache()] == ["set"]
    assert clear_cache() == 0
    assert cache.fault is None


def test_a_cache_killed_at_its_birth_is_listed_and_used(own_cache):
    cache = fill("a", 3)
    with contextlib.closing(sqlite3.connect(cache.path)) as db, db:
        db.execute("DELETE FROM about")
    assert [(entry.name, entry.photos) for entry in list_cache()] == [("a", 3)]
    (features_folder() / "b.sqlite").write_bytes(b"")
    assert fill("b", 2).fault is None
    assert [(entry.name, entry.photos) for entry in list_cache()] == [("a", 3), ("about b", 2)]


def test_what_can_not_be_cleared_is_named(monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("fieldguide.embed.cache.shutil.rmtree", refuse)
    with pytest.raises(CacheError, match=r"/features can't be removed: Permission denied$"):
        clear_cache()


def test_a_cache_cleared_under_ones_feet_costs_only_time(mean_colour_engine):
    embedder = make_embedder()
    embedder.embed(make_set(10))
    clear_cache()
    for _ in range(2):
        np.testing.assert_array_equal(embedder.embed(make_set(20)).features, colours(20))
    fresh = make_embedder()
    assert len(fresh.embed(make_set(20)).features) == 20
    assert (fresh.cache.fault, len(kept(fresh.cache.path))) == (None, 20)


# A cache that can't be used


def make_file(cache: Path) -> None:
    cache.write_text("a regular file")


def make_damaged(cache: Path) -> None:
    path = make_embedder().cache.path
    for file in path.parent.iterdir():
        file.unlink()
    path.write_bytes(b"not a database " * 500)


def make_folder(cache: Path) -> None:
    path = make_embedder().cache.path
    for file in path.parent.iterdir():
        file.unlink()
    path.mkdir()


def make_other_table(cache: Path) -> None:
    with contextlib.closing(sqlite3.connect(make_embedder().cache.path)) as db, db:
        db.execute("DROP TABLE features")
        db.execute("CREATE TABLE features (something TEXT)")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_file, "Not a directory|File exists"),
        (make_damaged, "file is not a database"),
        (make_folder, "unable to open database file"),
        (make_other_table, "no such column"),
    ],
)
def test_a_cache_that_cannot_be_used_costs_only_time_and_says_why(mean_colour_engine, make, reason, recwarn):
    make(mean_colour_engine)
    embedder = make_embedder()
    for _ in range(2):
        np.testing.assert_array_equal(embedder.embed(make_set(600)).features, colours(600))
    assert embedder.cache.fault is not None
    start, _, rest = embedder.cache.fault.partition(" can't be used (")
    assert start == f"the feature cache {embedder.cache.path}"
    assert rest.endswith("); features are not kept")
    assert any(part in rest for part in reason.split("|"))


def test_pages_damaged_after_the_start_cost_only_time(mean_colour_engine):
    embedder = make_embedder()
    embedder.embed(make_set(3000))
    path = embedder.cache.path
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    again = make_embedder()
    np.testing.assert_array_equal(again.embed(make_set(3000)).features, colours(3000))
    assert "malformed" in again.cache.fault


def test_a_full_disk_costs_only_time(own_cache):
    """A process that may write no file beyond 200 kB, as on a full disk."""
    source = (
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "import mean_colour; mean_colour.main('9000')\n"
    )
    folder = str(Path(mean_colour.__file__).parent)
    child = subprocess.run([sys.executable, "-c", source, folder], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert "features are not kept" in child.stdout
    (path,) = features_folder().glob("*.sqlite")
    right = colours(9000)
    expected = dict(zip(digests(*range(9000)), right, strict=True))
    found = kept(path)
    assert all((feature == expected[digest]).all() for digest, feature in found.items())
