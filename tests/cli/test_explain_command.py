"""``fieldguide explain``, as a process."""

import json
import re

import numpy as np
from PIL import Image

from fieldguide.cli.explain import panels_of
from fieldguide.explain import Marks


def test_it_draws_the_marks_and_says_where_they_are(run, saved_guide, colours, tmp_path):
    picture = tmp_path / "new" / "why.png"
    result = run("explain", saved_guide, colours / "red" / "05.png", "--class", "blue", "-o", picture)
    assert result.returncode == 0 and result.stderr == f"the picture: {picture}\n"
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"red \d+\.\d %; its marks are (in the centre|at the \w+ \w+)", first)
    assert re.fullmatch(r"blue \d+\.\d %; (its marks are .*|nothing in it speaks for that)", second)
    with Image.open(picture) as drawn:
        assert drawn.size == (720, 275)


def test_examples_are_named_and_drawn(run, saved_guide, colours, tmp_path):
    how = ("--examples", colours, "-o", tmp_path / "x.png")
    result = run("explain", saved_guide, colours / "red" / "05.png", *how)
    named = [line for line in result.stdout.splitlines() if line.startswith("like ")]
    assert len(named) == 5 and all(re.fullmatch(r"like (\w+)/\d\d\.png \(\1\) by 0\.\d\d", line) for line in named)
    with Image.open(tmp_path / "x.png") as drawn:
        assert drawn.size == (1200, 550)
    facts = json.loads(run("explain", saved_guide, colours / "red" / "05.png", *how, "--json").stdout)
    assert [f"like {e['photo']} ({e['class']}) by {e['likeness']:.2f}" for e in facts["examples"]] == named
    assert facts["classes"][0]["class"] == "red" and facts["unknown"] is False


def test_an_unknown_photo_is_called_so_in_words_and_in_the_picture(run, saved_guide, colours, tmp_path):
    checks = np.indices((64, 64)).sum(axis=0) // 8 % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "chess.png")
    how = ("explain", saved_guide, tmp_path / "chess.png", "--class", "red", "--class", "blue", "--class", "green")
    result = run(*how, "-o", tmp_path / "why.png")
    lines = result.stdout.splitlines()
    assert re.match(r"unknown \((blue|green|red)\) \d+\.\d %", lines[0])
    assert all(re.match(r"(blue|green|red) \d+\.\d %", line) for line in lines[1:])
    assert result.stderr.startswith("unknown: like too few of the photos that the guide learnt from\n")
    marks = [Marks(name, 0.5, np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32), "") for name in "ab"]
    titles = [panel.title for panel in panels_of(marks, [], is_unknown=True)[0]]
    assert titles == ["what the network sees", "unknown (a: 50.0 %)", "b: 50.0 %"]
    titles = [panel.title for panel in panels_of(marks, [], is_unknown=False)[0]]
    assert titles == ["what the network sees", "a: 50.0 %", "b: 50.0 %"]


def test_without_a_name_the_picture_is_called_after_the_photo(run, saved_guide, colours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("explain", saved_guide, colours / "red" / "05.png").returncode == 0
    assert (tmp_path / "05-explained.png").exists()
