"""``fieldguide evaluate``, as a process."""

import json
import re

import numpy as np
import pytest
from pyarrow import parquet

from fieldguide.head import LinearHead


def test_it_prints_what_train_printed_and_counts_what_it_left_out(run, colour_guide, saved_guide, colours):
    result = run("evaluate", saved_guide, colours)
    assert result.returncode == 0
    assert f"photos    {colour_guide.evaluation.num_photos}\n" in result.stdout
    assert result.stderr == f"{len(colour_guide.seen)} photos were left out: this guide was trained on them\n"


def test_json_gives_the_same_facts_and_nothing_beside_them(run, colour_guide, saved_guide, colours):
    result = run("evaluate", saved_guide, colours, "--json", "--include-training")
    assert (result.returncode, result.stderr) == (0, "")
    expected = colour_guide.evaluate(colours, include_training=True).to_dict()
    assert json.loads(result.stdout) == json.loads(json.dumps(expected))


def test_scores_and_answers_are_written_to_a_folder(run, saved_guide, image_folder, tmp_path):
    folder = image_folder({"train/red": 2, "val/red": 3, "val/blue": 3})
    (folder / "val/red/bad.jpg").write_bytes(b"")
    output = tmp_path / "new" / "scores"
    result = run("evaluate", saved_guide, folder, "--part", "val", "-o", output)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "1 photo skipped:",
        "  val/red/bad.jpg: empty file",
        f"metrics.json and predictions.parquet are in {output}",
    ]
    assert json.loads((output / "metrics.json").read_text())["num_photos"] == 6
    rows = parquet.read_table(output / "predictions.parquet").to_pylist()
    assert [row["label"] for row in rows] == ["blue"] * 3 + ["red"] * 3
    assert all(row["answer"] == row["label"] for row in rows)


@pytest.fixture
def guide_to_thirty(colour_guide, tmp_path):
    """A guide to thirty classes with long names, which answers at random, and photos of six of them."""
    from dataclasses import replace

    names = tuple(f"{k:02d} a class whose name goes on and on and on, as names of species do" for k in range(30))
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(size=(30, 1280)).astype(np.float32), np.zeros(30, np.float32))
    return replace(colour_guide, class_names=names, head=head).save(tmp_path / "thirty.guide"), names


@pytest.mark.parametrize("columns", ["20", "80", ""])
def test_no_table_in_a_pipe_is_cut_to_a_width(run, guide_to_thirty, image_folder, columns):
    path, names = guide_to_thirty
    result = run("evaluate", path, image_folder(dict.fromkeys(names[:6], 2)), COLUMNS=columns)
    assert result.returncode == 0 and "…" not in result.stdout and "top-5" in result.stdout
    rows = [line for line in result.stdout.splitlines() if re.match(r" ?\d\d a class", line)]
    assert [row.split(",")[0].split()[0] for row in rows[:30]] == [f"{k:02d}" for k in range(30)]
    assert all(names[k] in row and len(row) == len(rows[0]) for k, row in enumerate(rows[:30]))
    assert "true (most often confused)" in result.stdout
    assert all(sum(name in row for name in names) == 2 for row in rows[30:])


def test_undefined_scores_are_dashes_in_the_table_and_null_in_json(run, saved_guide, image_folder):
    folder = image_folder({"red": 2})
    assert re.search(r"green +- +- +- +0", run("evaluate", saved_guide, folder).stdout)
    scores = json.loads(run("evaluate", saved_guide, folder, "--json").stdout)["classes"]
    assert scores[1] == {"name": "green", "precision": None, "recall": None, "f1": None, "support": 0}


def test_weak_spots_are_told_where_they_are_asked_for(run, saved_guide, image_folder):
    folder = image_folder({"red": 6, "blue": 6})
    result = run("evaluate", saved_guide, folder, "--slices", "--robustness")
    assert result.returncode == 0
    assert re.search(r"^ ?class: red +100\.0 % +\d+\.\d % to 100\.0 % +6$", result.stdout, re.MULTILINE)
    assert re.search(r"^ ?brightness: [\d.]+ to [\d.]+ ", result.stdout, re.MULTILINE)
    assert re.search(r"^ ?spoilt by( +strength \d){5}$", result.stdout, re.MULTILINE)
    assert re.search(r"^ ?rotation( +\d+\.\d %){5}$", result.stdout, re.MULTILINE)
    facts = json.loads(run("evaluate", saved_guide, folder, "--slices", "--robustness", "--json").stdout)
    assert len(facts["robustness"]) == 30 and {s["measure"] for s in facts["slices"]} >= {"class", "sharpness"}
    assert "slices" not in json.loads(run("evaluate", saved_guide, folder, "--json").stdout)


def test_the_files_of_a_guide_are_not_lost_to_an_evaluation(run, colour_guide, colours, tmp_path):
    guide = colour_guide.save(tmp_path / "x.guide")
    before = (guide / "metrics.json").read_bytes()
    result = run("evaluate", guide, colours, "-o", guide)
    assert result.returncode == 2
    assert "x.guide is a guide, whose own metrics.json would be lost; choose another folder" in result.stderr
    assert (guide / "metrics.json").read_bytes() == before
