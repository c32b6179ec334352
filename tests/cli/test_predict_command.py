"""``fieldguide predict``, as a process."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def three(colours):
    """A photo of each colour."""
    return [colours / name / "05.png" for name in ("red", "blue", "green")]


def test_a_line_a_photo_with_class_share_and_name(run, saved_guide, three):
    result = run("predict", saved_guide, *three)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    for line, photo in zip(lines, three, strict=True):
        assert re.fullmatch(rf"{photo.parent.name} +\d+\.\d %   {photo}", line)
    assert len({line.index("%") for line in lines}) == 1, "the shares stand below each other"


def test_text_json_csv_and_csv_to_standard_output_say_the_same(run, saved_guide, colour_guide, three, tmp_path):
    expected = [colour_guide.predict(photo) for photo in three]
    text = run("predict", saved_guide, *three, "--top", 2).stdout.splitlines()
    facts = json.loads(run("predict", saved_guide, *three, "--top", 2, "--json").stdout)
    to_file = run("predict", saved_guide, *three, "--top", 2, "--csv", tmp_path / "new" / "a.csv")
    assert (to_file.stdout, to_file.stderr) == ("", f"answers in {tmp_path / 'new' / 'a.csv'}: 3\n")
    to_pipe = run("predict", saved_guide, *three, "--top", 2, "--csv", "-")
    assert to_pipe.stderr == ""
    assert to_pipe.stdout == (tmp_path / "new" / "a.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(to_pipe.stdout)))
    assert list(rows[0]) == ["photo", "class_1", "probability_1", "class_2", "probability_2", "unknown", "classes"]
    assert facts["skipped"] == []
    for here, line, answer, row in zip(expected, text, facts["predictions"], rows, strict=True):
        top = here.top(2)
        assert answer["photo"] == row["photo"] == here.photo and line.endswith(here.photo)
        assert [(a["class"], pytest.approx(a["probability"], abs=1e-6)) for a in answer["answers"]] == top
        assert (
            [row["class_1"], row["class_2"]]
            == [name for name, _ in top]
            == re.findall(r"blue|green|red", line)[:2]
        )
        assert float(row["probability_1"]) == pytest.approx(top[0][1], abs=1e-6)
        assert answer["unknown"] == here.is_unknown == (row["unknown"] == "yes")
        assert answer["familiarity"] == pytest.approx(here.familiarity, abs=1e-6)


def test_a_photo_that_shows_none_of_the_classes_is_unknown(run, saved_guide, colours, tmp_path):
    checks = np.indices((64, 64)).sum(axis=0) // 8 % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "chess.png")
    known, strange = colours / "red" / "04.png", tmp_path / "chess.png"
    lines = run("predict", saved_guide, known, strange).stdout.splitlines()
    assert re.fullmatch(r"red +\d+\.\d %   .*04\.png", lines[0])
    assert re.fullmatch(r"unknown \((blue|green|red)\) +\d+\.\d %   .*chess\.png", lines[1])
    assert lines[0].index("%") == lines[1].index("%"), "lines align"
    lines = run("predict", saved_guide, known, strange, "--always-answer").stdout.splitlines()
    assert re.match(r"(blue|green|red) +\d", lines[1])
    facts = json.loads(run("predict", saved_guide, strange, "--json").stdout)
    assert facts["predictions"][0]["unknown"] is True and facts["predictions"][0]["familiarity"] < 0.9


def test_a_set_of_classes_holds_the_truth_as_often_as_is_asked_for(run, saved_guide, colour_guide, three):
    facts = json.loads(run("predict", saved_guide, *three, "--coverage", 0.9, "--json").stdout)
    for photo, answer in zip(three, facts["predictions"], strict=True):
        expected = colour_guide.predict(photo, coverage=0.9)
        assert answer["classes"] == list(expected.classes) and expected.classes[0] == expected.label
    line = run("predict", saved_guide, three[0], "--coverage", 0.9).stdout
    assert "{" + ", ".join(facts["predictions"][0]["classes"]) + "}" in line
    sure = colour_guide.predict(three[0], coverage=0.01)
    assert sure.classes == (sure.label,), "the most probable one is always in it"
    assert colour_guide.predict(three[0], coverage=0.9999).classes == tuple(n for n, _ in sure.top(3))


def test_more_classes_than_there_are_are_all_of_them(run, saved_guide, three):
    facts = json.loads(run("predict", saved_guide, three[0], "--top", 99, "--json").stdout)
    assert len(facts["predictions"][0]["answers"]) == 3


def test_folders_are_walked_and_bad_photos_named(run, saved_guide, image_folder):
    folder = image_folder({"red": 2})
    (folder / "notes.txt").write_text("no photo")
    reason = "not an image (JPEG, PNG, WebP, GIF, BMP or TIFF)"
    result = run("predict", saved_guide, folder)
    assert result.returncode == 0 and len(result.stdout.splitlines()) == 2
    assert result.stderr.splitlines() == ["1 photo skipped:", f"  {folder / 'notes.txt'}: {reason}"]
    facts = json.loads(run("predict", saved_guide, folder, "--json").stdout)
    assert len(facts["predictions"]) == 2
    assert facts["skipped"] == [{"photo": str(folder / "notes.txt"), "reason": reason}]


def test_a_zipped_guide_answers_too(run, colour_guide, three, tmp_path):
    result = run("predict", colour_guide.save(tmp_path / "colours.zip"), three[0])
    assert result.stdout.startswith("red ")
