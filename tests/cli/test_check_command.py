"""``fieldguide check``, as a process."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageOps

import fieldguide as fg
from browser import browse
from fieldguide.doctor import page as page_module

NAMES = ("blue", "green", "red")


@pytest.fixture
def faulty(colour_folder):
    """Three colours with a wrong label, an identical copy, a mirrored one, and a file that is none."""
    (colour_folder / "red" / "03.png").rename(colour_folder / "blue" / "was red.png")
    shutil.copyfile(colour_folder / "green" / "05.png", colour_folder / "green" / "copy.png")
    shape = Image.open(colour_folder / "red" / "07.png")
    shape.paste((250, 200, 190), (4, 6, 26, 20))
    shape.paste((60, 10, 20), (12, 26, 44, 44))
    shape.save(colour_folder / "red" / "07.png")
    ImageOps.mirror(shape).save(colour_folder / "red" / "mirrored.png")
    (colour_folder / "red" / "broken.jpg").write_bytes(b"no image")
    return colour_folder


def test_it_says_what_is_wrong_the_worst_first_and_changes_nothing(run, faulty):
    before = {path: path.read_bytes() for path in faulty.rglob("*.*")}
    result = run("check", faulty)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"39 photos of 3 classes, looked at in \d+\.\d s", lines[0])
    severities = re.findall(r"^(high|medium|low)\b", result.stdout, re.MULTILINE)
    assert severities == sorted(severities, key=("high", "medium", "low").index)
    assert re.search(
        r"blue/was red\.png: is under blue, looks like red \((over )?\d\d %\), not blue \((\d|below 1) %\)",
        result.stdout,
    )
    assert "green/05.png, green/copy.png: identical" in result.stdout
    assert re.search(r"red/(07|mirrored)\.png, red/(07|mirrored)\.png: nearly the same", result.stdout)
    assert "red/broken.jpg: not an image" in result.stdout
    assert {path: path.read_bytes() for path in faulty.rglob("*.*")} == before


def test_json_has_every_case(run, faulty):
    result = run("check", faulty, "--json")
    found = json.loads(result.stdout)
    assert (found["num_photos"], found["class_names"]) == (39, list(NAMES))
    kinds = {finding["kind"]: finding for finding in found["findings"]}
    assert kinds["copies"]["cases"] == [{"photos": ["green/05.png", "green/copy.png"], "evidence": "identical"}]
    assert kinds["wrong label"]["severity"] == "medium"


def test_training_leaves_out_what_a_person_has_left_in_the_list(run, faulty, tmp_path):
    fixes = tmp_path / "out" / "fixes.csv"
    result = run("check", faulty, "--fix-list", fixes)
    assert (
        result.stderr
        == f"{fixes} lists them; edit it, and train with: fieldguide train {faulty} --exclude {fixes}\n"
    )
    with fixes.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    suggested = {(row["path"], row["problem"]): row["suggested_action"] for row in rows}
    assert suggested["blue/was red.png", "wrong label"] == "look"
    assert suggested["green/copy.png", "copies"] == "exclude"
    assert not any(path == "green/05.png" for path, problem in suggested if problem == "copies")
    assert "keep green/05.png" in next(row["evidence"] for row in rows if row["path"] == "green/copy.png")
    kept = [row for row in rows if row["path"] != "red/mirrored.png"]
    for row in kept:
        row["suggested_action"] = "exclude" if row["path"] == "blue/was red.png" else row["suggested_action"]
    with fixes.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(kept)
    result = run("train", faulty, "--exclude", fixes, "-o", tmp_path / "x.guide", "--json")
    facts = json.loads(result.stdout)
    excluded = {row["path"] for row in kept if row["suggested_action"] == "exclude"}
    assert facts["data"]["num_train"] + facts["data"]["num_held_out"] == 39 - len(excluded)
    assert facts["data"]["skipped"] == [], "the file that is none is in the list"
    assert facts["data"]["excluded"] == len(excluded)
    result = run("train", faulty, "--exclude", fixes, "-o", tmp_path / "x.guide")
    assert f"photos that the list excludes, left out: {len(excluded)}" in result.stderr.splitlines()
    assert {"blue/was red.png", "green/copy.png", "red/broken.jpg"} <= excluded


def test_of_a_picture_under_two_labels_the_wrong_copy_is_to_go_or_a_person_looks(run, colour_folder, tmp_path):
    shutil.copyfile(colour_folder / "green" / "05.png", colour_folder / "red" / "stray.png")
    (colour_folder / "pink").mkdir()  # which no other photo shows
    shutil.copyfile(colour_folder / "red" / "07.png", colour_folder / "pink" / "only.png")
    fixes = tmp_path / "fixes.csv"
    text = run("check", colour_folder, "--fix-list", fixes).stdout
    assert re.search(
        r"green/05\.png, red/stray\.png: identical: green, red; looks like green \(.* %\), not red", text
    )
    with fixes.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["problem"] == "two labels"]
    actions = {row["path"]: row["suggested_action"] for row in rows}
    assert actions.pop("red/stray.png") == "exclude" and "green/05.png" not in actions
    assert next(r["evidence"] for r in rows if r["path"] == "red/stray.png").endswith("; keep green/05.png")
    assert actions == {"pink/only.png": "look", "red/07.png": "look"}


def test_a_run_that_is_killed_and_resumed_leaves_out_the_same(run, faulty, tmp_path):
    fixes, target = tmp_path / "fixes.csv", tmp_path / "run"
    fixes.write_text("path\nred/broken.jpg\nblue/was red.png\n", encoding="utf-8")
    how = ("--model", "multilayer_cnn", "--size", 16, "--epochs", 400, "--batch-size", 8, "--exclude", fixes)
    words = [sys.executable, "-m", "fieldguide", "train", faulty, *how, "-o", target, "--checkpoint-every", 0]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(target.glob("training/checkpoints/0*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    content = fixes.read_text(encoding="utf-8")
    fixes.write_text(content.replace("blue/was red.png", "blue/01.png"), encoding="utf-8")
    result = run("train", "--resume", target)
    assert result.returncode == 2 and "have changed since this run began" in result.stderr, result.stderr
    fixes.write_text(content, encoding="utf-8")
    assert run("train", "--resume", target).returncode == 0
    facts = json.loads((target / "guide.json").read_text(encoding="utf-8"))
    assert facts["data"]["num_train"] + facts["data"]["num_held_out"] == 37 and facts["data"]["skipped"] == []


def test_a_list_that_is_gone_is_named_when_a_run_is_resumed(run, faulty, tmp_path):
    fixes = tmp_path / "fixes.csv"
    assert "fixes.csv can't be read" in run("train", faulty, "--exclude", fixes, "-o", tmp_path / "x.guide").stderr
    assert not (tmp_path / "x.guide").exists()


def test_training_names_the_worst_that_it_saw(run, faulty, tmp_path):
    result = run("train", faulty, "-o", tmp_path / "x.guide")
    assert result.returncode == 0
    lines = result.stderr.splitlines()
    assert any(
        re.match(r"medium: \d labels? (is|are) contradicted by other photos .*, such as ", line) for line in lines
    )
    copies = "medium: 1 picture several times in identical files (2 photos), such as green/05.png, green/copy.png"
    assert any(line.startswith(copies) for line in lines)
    assert f"more, and with the evidence: fieldguide check {faulty}" in lines


def test_the_page_shows_the_photos_and_needs_nothing_beside_it(run, faulty, tmp_path):
    page = tmp_path / "found.html"
    result = run("check", faulty, "--html", page)
    assert result.stderr == f"{page} shows them; open it in a browser\n"
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text) and "http" not in text.replace("http-equiv", "")
    assert page.stat().st_size < 5e6
    dom = browse(page, "--dump-dom")
    assert dom.count("<section") == len(re.findall(r"<a class=", dom)) > 3
    assert "is under blue, looks like red" in dom
    for name, width in (("wide", 1200), ("phone", 500)):
        shot = tmp_path / f"{name}.png"
        browse(page, f"--screenshot={shot}", f"--window-size={width},900")
        with Image.open(shot) as picture:
            assert len(picture.convert("RGB").resize((300, 200)).getcolors(60_000)) > 200, "photos are drawn"


def test_names_of_photos_are_text_on_the_page(run, colour_folder, tmp_path):
    odd = colour_folder / "red" / "<img src=x onerror=alert(1)>.png"
    odd.write_bytes((colour_folder / "red" / "01.png").read_bytes())
    run("check", colour_folder, "--html", tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;.png" in text


def test_the_page_stays_small_however_much_is_found(faulty, monkeypatch):
    monkeypatch.setattr(page_module, "_MOST_CHARACTERS", 20_000)
    page = page_module.to_page(fg.check(faulty)).decode()
    drawn = re.findall(r"base64,([^\"]+)", page)
    assert drawn and sum(map(len, drawn)) <= 20_000 and "green/copy.png" in page


def test_photos_without_fault_have_little_to_say(run, colours):
    result = run("check", colours, "--json")
    kinds = {finding["kind"] for finding in json.loads(result.stdout)["findings"]}
    assert kinds <= {"few photos", "few held out", "tiny", "outlier"}


def test_one_class_is_enough_for_what_needs_no_labels(run, image_folder):
    folder = image_folder({"red": 6})
    shutil.copyfile(next(folder.glob("red/*.png")), folder / "red" / "zz.png")
    result = run("check", folder)
    assert result.returncode == 0 and "1 picture several times in identical files" in result.stdout


def test_files_that_are_all_damaged_are_a_finding_too(run, image_folder):
    folder = image_folder({"red": 3, "blue": 3})
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    result = run("check", folder)
    assert result.returncode == 0 and "6 photos that can't be used" in result.stdout


def test_a_refusal_makes_no_folder(run, colours, tmp_path):
    result = run("check", colours, "--html", tmp_path / "new" / "x.html", "--fix-list", tmp_path / "x.txt")
    assert result.returncode == 2 and "x.txt is no place for the result" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_may_have_been_edited_is_not_written_over(run, colours, tmp_path):
    (tmp_path / "fixes.csv").write_text("path,suggested_action\nred/00.png,keep\n", encoding="utf-8")
    result = run("check", colours, "--fix-list", tmp_path / "fixes.csv")
    assert result.returncode == 2
    assert "fixes.csv is there already, and may have been edited; name a new file" in result.stderr
    assert "keep" in (tmp_path / "fixes.csv").read_text(encoding="utf-8")
