"""Guides on disk: whole or refused, never half, and never at the cost of something else."""

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from fieldguide.errors import GuideError
from fieldguide.guide_format import GuideFiles, check_replaceable, read_guide, write_guide

FACTS = {"architecture": {"name": "någon"}, "class_names": ["a", "バラ"], "preprocess": {}}
FORMS = ("some.guide", "some.zip")


def files(value: int = 1) -> GuideFiles:
    tensors = {"head.weight": np.full((2, 300), value, np.float32), "seen": np.arange(value, dtype=np.uint64)}
    return GuideFiles({**FACTS, "value": value}, tensors, {"history.csv": b"%d" % value})


@pytest.fixture(params=FORMS)
def target(request, tmp_path) -> Path:
    """Where a guide is to be written, as a folder and as a zip."""
    return tmp_path / "new" / "földer" / request.param


@pytest.fixture
def guide(tmp_path) -> Path:
    """A guide's folder."""
    path = tmp_path / "some.guide"
    write_guide(path, files())
    return path


def rewrite(guide: Path, **changes: object) -> None:
    """Change what guide.json says; None takes a fact away."""
    facts = json.loads((guide / "guide.json").read_text()) | changes
    (guide / "guide.json").write_text(json.dumps({k: v for k, v in facts.items() if v is not None}))


def replace_model(guide: Path, content: bytes) -> None:
    """Give the guide another model, with the right checksum."""
    (guide / "model.safetensors").write_bytes(content)
    rewrite(guide, files={"model.safetensors": hashlib.sha256(content).hexdigest()})


def zipped(guide: Path, prefix: str = "", **options) -> Path:
    """The guide's files as a zip, in a folder or not."""
    path = guide.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in guide.iterdir():
            archive.write(file, prefix + file.name)
    return path


# What is written is read


def test_what_is_written_is_read(target):
    write_guide(target, files(3))
    found = read_guide(target)
    assert found.facts | FACTS | {"value": 3} == found.facts
    assert found.records == {"history.csv": b"3"}
    for name, array in files(3).tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array)
        assert found.tensors[name].dtype == array.dtype


def test_a_new_guide_replaces_the_old_one_and_leaves_nothing_beside_it(target):
    write_guide(target, GuideFiles(FACTS, {}, {"history.csv": b"old", "metrics.json": b"old"}))
    write_guide(target, files(2))
    assert read_guide(target).facts["value"] == 2
    assert read_guide(target).records == {"history.csv": b"2"}
    assert list(target.parent.iterdir()) == [target]


def test_names_in_any_script_are_readable_in_the_json(guide):
    assert "バラ" in (guide / "guide.json").read_text(encoding="utf-8")


def test_no_file_of_a_guide_is_a_pickle(saved_guide):
    for file in saved_guide.iterdir():
        content = file.read_bytes()
        assert file.suffix in (".json", ".safetensors", ".csv", ".parquet", ".html")
        assert not content.startswith(b"\x80") and b"pickle" not in content
        assert not zipfile.is_zipfile(io.BytesIO(content)), "torch's own format is a zip with a pickle"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("prefix", ["", "some.guide/", "deep/er/"])
def test_a_zip_made_by_hand_is_read_with_a_folder_in_it_or_without(guide, prefix, compression):
    assert read_guide(zipped(guide, prefix, compression=compression)).facts["value"] == 1


def test_a_guide_without_its_records_is_whole(guide):
    (guide / "history.csv").unlink()
    assert read_guide(guide).records == {}


# What is no whole guide is refused


def test_a_guide_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        GuideError, match=r"rose\.guide does not exist; expected a folder made by 'fieldguide train"
    ):
        read_guide(tmp_path / "rose.guide")
    (tmp_path / "roses.guide").mkdir()
    with pytest.raises(GuideError, match=r"rose\.guide does not exist, did you mean 'roses\.guide'\?; expected"):
        read_guide(tmp_path / "rose.guide")


@pytest.mark.parametrize("name", ["guide.json", "model.safetensors"])
@pytest.mark.parametrize("form", FORMS)
def test_a_guide_that_lacks_a_file_is_refused(guide, name, form):
    (guide / name).unlink()
    path = guide if form == guide.name else zipped(guide)
    with pytest.raises(GuideError, match=rf"{form} is not a whole guide: it lacks {name}"):
        read_guide(path)


def test_a_folder_in_place_of_a_file_is_damage(guide):
    (guide / "guide.json").unlink()
    (guide / "guide.json").mkdir()
    with pytest.raises(GuideError, match=r"some\.guide is damaged: guide\.json can't be read: .*[Dd]irectory"):
        read_guide(guide)


@pytest.mark.parametrize("content", [b"", b"photos", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "rose.jpg").write_bytes(content)
    with pytest.raises(
        GuideError, match=r"rose\.jpg is neither a guide folder nor a zip of one: File is not a zip"
    ):
        read_guide(tmp_path / "rose.jpg")


def test_a_newer_format_says_which_and_what_to_do(guide):
    rewrite(guide, format_version=7, fieldguide_version="9.1")
    message = r"has format 7, made by fieldguide 9\.1; this one reads formats up to 1: upgrade with pip install"
    with pytest.raises(GuideError, match=message):
        read_guide(guide)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "guide.json is not JSON: Expecting value"),
        (b'{"format_version": 1', "guide.json is not JSON: Expecting ',' delimiter"),
        (b"\xff\xfe{}", "guide.json is not JSON: "),
        (b"[" * 100_000, "guide.json is not JSON: maximum recursion depth"),
        (b"[1]", "guide.json states no format version"),
        (b"{}", "guide.json states no format version"),
        (b'{"format_version": "1"}', "guide.json states no format version"),
        (b'{"format_version": 0}', "guide.json states no format version"),
    ],
)
def test_a_damaged_guide_json_is_refused(guide, content, message):
    (guide / "guide.json").write_bytes(content)
    with pytest.raises(GuideError, match=rf"some\.guide is damaged: {message}"):
        read_guide(guide)


@pytest.mark.parametrize("fact", ["architecture", "class_names", "preprocess", "files"])
def test_a_guide_json_that_lacks_a_fact_is_refused(guide, fact):
    rewrite(guide, **{fact: None})
    with pytest.raises(GuideError, match=rf"some\.guide is damaged: guide\.json lacks {fact}"):
        read_guide(guide)


@pytest.mark.parametrize(
    "damage", ["one bit", "cut short", "checksum", "no checksum", "checksums of another kind"]
)
def test_a_model_that_does_not_match_its_checksum_is_refused(guide, damage):
    model = guide / "model.safetensors"
    content = model.read_bytes()
    if damage == "one bit":
        model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut short":
        model.write_bytes(content[: len(content) // 2])
    else:
        values = {
            "checksum": {"model.safetensors": "0" * 64},
            "no checksum": {},
            "checksums of another kind": ["x"],
        }
        rewrite(guide, files=values[damage])
    with pytest.raises(
        GuideError, match=r"damaged: model\.safetensors does not match its checksum.*copy the guide"
    ):
        read_guide(guide)


BFLOAT16 = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'


@pytest.mark.parametrize(
    "content",
    [b"", save({"x": np.ones(9)})[:-5], b"\xff" * 64, len(BFLOAT16).to_bytes(8, "little") + BFLOAT16 + b"\0\0"],
    ids=["empty", "truncated", "noise", "bfloat16"],
)
def test_a_model_that_is_no_safetensors_file_is_refused(guide, content):
    replace_model(guide, content)
    with pytest.raises(GuideError, match=r"some\.guide is damaged: model\.safetensors can't be read: "):
        read_guide(guide)


# Zips of strangers


def test_members_that_lead_outside_are_not_followed_and_hurt_nobody(guide, tmp_path):
    path = zipped(guide)
    with zipfile.ZipFile(path, "a") as archive:
        for name in (
            "../../outside.txt",
            "/absolute.txt",
            "C:\\drive.txt",
            "../guide.json",
            "x/y/model.safetensors",
        ):
            archive.writestr(name, b"evil")
    before = sorted(tmp_path.rglob("*"))
    assert read_guide(path).facts["value"] == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_of_two_guides_in_a_zip_the_outermost_is_read_whole(guide, tmp_path):
    write_guide(tmp_path / "other.guide", files(2))
    path = zipped(guide)
    with zipfile.ZipFile(path, "a") as archive:
        for file in (tmp_path / "other.guide").iterdir():
            archive.write(file, f"older/{file.name}")
    assert read_guide(path).facts["value"] == 1


def test_a_member_that_inflates_beyond_reason_is_not_inflated(guide):
    (guide / "model.safetensors").write_bytes(bytes(50_000_000))
    with pytest.raises(GuideError, match=r"model\.safetensors can't be read: \d+ bytes that inflate to 50000000"):
        read_guide(zipped(guide, compression=zipfile.ZIP_DEFLATED))


def test_an_encrypted_member_is_refused(guide):
    path = zipped(guide)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # each header's flags
        place = -1
        while (place := content.find(signature, place + 1)) >= 0:
            content[place + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(GuideError, match=r"some\.zip is damaged: guide\.json can't be read: .*encrypted"):
        read_guide(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_any_byte_changed_is_read_right_or_refused(guide, compression):
    path = zipped(guide, compression=compression)
    whole, good = path.read_bytes(), read_guide(path)
    rng = np.random.default_rng(0)
    places = [*range(len(whole) - 400, len(whole)), *rng.integers(0, len(whole), 400).tolist()]
    for place in places:  # the last bytes are the directory, where most can go wrong
        path.write_bytes(whole[:place] + bytes([whole[place] ^ rng.integers(1, 256)]) + whole[place + 1 :])
        try:
            found = read_guide(path)
        except GuideError as error:
            assert "some.zip" in str(error)
        else:
            np.testing.assert_array_equal(found.tensors["head.weight"], good.tensors["head.weight"])


# Nothing else is overwritten


def fill(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_bytes(b"mine")
    elif kind == "zip of photos":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("roses/1.jpg", b"mine")
    else:
        (path / "roses").mkdir(parents=True)
        (path / "roses" / "1.jpg").write_bytes(b"mine")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("photos", "folder"), ("photos.guide", "folder"), ("photos.zip", "folder"), ("photos.guide", "file"),
        ("photos.zip", "file"), ("photos.zip", "zip of photos"), ("photos.guide", "zip of photos"),
    ],
)  # fmt: skip
def test_what_is_no_guide_is_never_overwritten(tmp_path, name, kind):
    path = tmp_path / name
    fill(path, kind)
    before = {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")}
    for attempt in (lambda: check_replaceable(path), lambda: write_guide(path, files())):
        with pytest.raises(
            GuideError, match=rf"{name} already exists and is not a guide; choose another name, such as"
        ):
            attempt()
    assert {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("form", FORMS)
def test_a_guide_in_which_something_else_lies_is_not_overwritten(guide, form):
    (guide / "notes.txt").write_text("mine")
    path = guide if form == guide.name else zipped(guide, "some.guide/")
    with pytest.raises(
        GuideError, match=rf"{form} holds 'notes\.txt', which is no part of a guide and would be lost"
    ):
        write_guide(path, files(2))
    assert (guide / "notes.txt").read_text() == "mine" and read_guide(path).facts["value"] == 1


def test_what_file_managers_leave_in_a_guide_is_no_hindrance(guide):
    (guide / ".DS_Store").write_bytes(b"")
    write_guide(guide, files(2))
    assert read_guide(guide).facts["value"] == 2


def test_a_zip_made_by_hand_can_be_replaced(guide):
    path = zipped(guide, "some.guide/")
    write_guide(path, files(2))
    assert read_guide(path).facts["value"] == 2


def test_an_empty_folder_or_file_is_no_loss(tmp_path):
    (tmp_path / "some.guide").mkdir()
    (tmp_path / "some.zip").touch()
    for form in FORMS:
        write_guide(tmp_path / form, files())
        assert read_guide(tmp_path / form).facts["value"] == 1


def test_a_link_stays_a_link_and_the_guide_it_leads_to_is_replaced(guide, tmp_path):
    link = tmp_path / "latest.guide"
    link.symlink_to(guide)
    for value in (2, 3):
        write_guide(link, files(value))
    assert link.is_symlink() and read_guide(guide).facts["value"] == read_guide(link).facts["value"] == 3


@pytest.mark.parametrize("name", [".", "..", "x/.."])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(
        GuideError, match=rf"^{Path(name)} is no name for a guide; choose one, such as flowers\.guide"
    ):
        write_guide(Path(name), files())


def test_a_place_that_can_not_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        GuideError, match=r"some\.guide can't be written: .*file is not a folder that you may write"
    ):
        check_replaceable(tmp_path / "file" / "some.guide")


def test_a_disk_that_fails_leaves_the_old_guide_unharmed(target, monkeypatch):
    write_guide(target, files())

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(GuideError, match=r"No space left on device; what was there is"),
    ):
        patch.setattr("os.fsync", no_space)
        write_guide(target, files(2))
    assert read_guide(target).facts["value"] == 1
    assert list(target.parent.iterdir()) == [target]


# Killed at any moment

SAVE_UNDER_KILL = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from fieldguide.guide_format import GuideFiles, read_guide, write_guide

path, manner = Path(sys.argv[1]), sys.argv[2]
EVENTS = ("open", "os.", "shutil.")

def files(value):
    facts = {"architecture": {}, "class_names": [], "preprocess": {}, "value": value}
    return GuideFiles(facts, {"x": np.full(250_000, value, np.float32)}, {"history.csv": b"%d" % value})

def save_and_die_at(number, value):  # the audit hook hears of every file operation before it is done
    left = [number]
    def count(event, arguments):
        if event.startswith(EVENTS):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    write_guide(path, files(value))
    os._exit(0)

def save_until_killed(value):
    while True:
        write_guide(path, files(value))
        value += 1

def whole_value():
    found = read_guide(path)
    value = found.facts["value"]
    assert (found.tensors["x"] == value).all() and found.records["history.csv"] == b"%d" % value
    return value

def killed(child, after_s=None):
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

write_guide(path, files(1))
kills, old = 0, 1
if manner == "every operation":
    while True:
        child = os.fork()
        if not child:
            save_and_die_at(kills + 1, old + 1)
        if not killed(child):
            break
        kills += 1
        assert whole_value() in (old, old + 1)
        if kills % 3 == 0:  # every kind of wreck must be mended by the next save; some are left to pile up
            write_guide(path, files(old + 1))
        old = whole_value()
else:
    random.seed(0)
    for _ in range(60):
        child = os.fork()
        if not child:
            save_until_killed(old + 1)
        assert killed(child, random.uniform(0, 0.02))
        kills += 1
        assert whole_value() >= old
        old = whole_value()
write_guide(path, files(old + 1))
assert whole_value() == old + 1
print(kills)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL and fork")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("manner", "kills"), [("every operation", 5), ("any moment", 60)])
def test_a_save_that_is_killed_leaves_a_whole_guide_old_or_new(tmp_path, form, manner, kills):
    path = tmp_path / form
    command = [sys.executable, "-c", SAVE_UNDER_KILL, str(path), manner]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= kills
    left_behind = [p.name for p in tmp_path.iterdir() if p != path]
    assert all(name.startswith(f".{form}.") and name.endswith(".tmp") for name in left_behind)


def test_a_guide_whose_save_was_killed_between_its_two_renames_is_there_to_read_and_to_replace(guide):
    guide.rename(guide.parent / ".some.guide.previous")
    assert read_guide(guide).facts["value"] == 1
    assert not guide.exists(), "reading changes nothing"
    write_guide(guide, files(2))
    assert read_guide(guide).facts["value"] == 2
    assert [p.name for p in guide.parent.iterdir()] == [guide.name]


def test_an_old_guide_that_a_killed_save_left_aside_does_not_hinder_the_next(guide):
    shutil.copytree(guide, guide.parent / ".some.guide.previous")
    for value in (2, 3):
        write_guide(guide, files(value))
    assert read_guide(guide).facts["value"] == 3
    assert [p.name for p in guide.parent.iterdir()] == [guide.name]


SAVE_AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
import numpy as np
from fieldguide.guide_format import GuideFiles, check_replaceable, write_guide

facts = {"architecture": {}, "class_names": [], "preprocess": {}}
for _ in range(100):
    check_replaceable(Path(sys.argv[1]))
    write_guide(Path(sys.argv[1]), GuideFiles(facts, {"head.bias": np.zeros(3)}))
"""


@pytest.mark.parametrize("form", FORMS)
def test_processes_that_save_the_same_guide_at_once_all_succeed_and_so_do_readers(tmp_path, form):
    write_guide(tmp_path / form, files())
    command = [sys.executable, "-c", SAVE_AGAIN_AND_AGAIN, str(tmp_path / form)]
    savers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    while any(saver.poll() is None for saver in savers):
        read_guide(tmp_path / form)
    assert [saver.communicate(timeout=120)[1] for saver in savers] == ["", "", ""]
    assert read_guide(tmp_path / form).tensors["head.bias"].tolist() == [0, 0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [form]
