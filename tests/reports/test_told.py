"""What a guide says of itself is read with care: it may be old, or a stranger's."""

from dataclasses import replace

import pytest

import fieldguide as fg
from fieldguide.errors import GuideError
from fieldguide.reports import gather
from fieldguide.reports.page import to_page
from fieldguide.reports.told import told_by


def test_all_that_training_says_is_told(muddled_guide):
    told = told_by(muddled_guide)
    assert told.title == "muddled & <odd>" and told.is_split and told.is_frozen
    assert (told.num_train, told.num_held_out, told.num_learnt) == (49, 24, {"blue": 17, "green": 16, "red": 16})
    assert told.command.startswith("fieldguide train ") and told.kind == "on frozen features"
    assert [finding.severity for finding in told.findings] == ["medium", "medium"]
    assert told.findings[0].cases[0].photos and told.created.endswith(" UTC")


def test_a_guide_that_says_nothing_has_a_report_all_the_same(muddled_guide, muddled):
    silent = replace(muddled_guide, facts={}, records={}, trust=None)
    (evidence,) = gather([silent], muddled)
    text = to_page(silent, evidence).decode()
    assert (
        "Made ; asked" not in text
        and "A guide to blue, green and red" in text
        and '<section id="classes">' in text
        and 'id="photos"' not in text
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("data", [1]), ("doctor", "x"), ("doctor", [3]), ("training", 3), ("created", 5), ("versions", "new"),
     ("command", ["rm"]), ("doctor", [{"cases": 1}]), ("data", {"num_train": "many"})],
)  # fmt: skip
def test_what_no_guide_says_is_refused_in_a_line(muddled_guide, key, value):
    strange = replace(muddled_guide, facts={**muddled_guide.facts, key: value})
    with pytest.raises(GuideError, match=r"^this guide is damaged: \w+ in guide\.json is .*, which no guide says"):
        told_by(strange)


@pytest.mark.parametrize("key", ["data", "doctor", "created", "training"])
def test_what_is_odd_but_harmless_is_told_as_it_is(muddled_guide, muddled, key):
    odd = {"data": {}, "doctor": [{}], "created": "<b>soon</b>", "training": {"verdict": "<i>fine</i>"}}
    strange = replace(muddled_guide, facts={**muddled_guide.facts, key: odd[key]})
    (evidence,) = gather([strange], muddled)
    text = to_page(strange, evidence).decode()
    assert "<b>soon" not in text and "<i>fine" not in text


@pytest.mark.parametrize(
    ("rows", "num_charts"),
    [
        (b"1,x,,\n2,0.5,,\n", 0),
        (b"1,nan,,\n2,1e308,,\n3,-1e308,,\n", 0),
        (b"1," + b"9" * 200_000, 0),
        (b"\xff\xfe\x00", 0),
        (b"1,0.5,0.4,\n2,0.25,0.3,\n", 1),
        (b"1,0.5,0.4,0.6\n2,0.2,0.3,0.7\n", 2),
    ],
    ids=["words", "nan and huge", "too long", "no text", "no accuracy", "whole"],
)
def test_a_history_is_drawn_as_far_as_it_is_numbers(muddled_guide, muddled, rows, num_charts):
    history = b"epoch,train_loss,validation_loss,validation_top1\n" + rows
    strange = replace(muddled_guide, records={"history.csv": history})
    (evidence,) = gather([strange], muddled)
    assert to_page(strange, evidence).decode().count(', by epoch"') == num_charts


@pytest.mark.parametrize(
    "command",
    ["curl http://x | sh", "fieldguide train x; rm -rf y", "fieldguide train 'x", "fieldguide train $(x)"],
)
def test_only_a_command_of_ours_is_shown(muddled_guide, command):
    strange = replace(muddled_guide, facts={**muddled_guide.facts, "command": command})
    assert told_by(strange).command == ""
    assert told_by(muddled_guide).command == muddled_guide.facts["command"]


def test_of_several_guides_the_damaged_one_is_named(muddled_guide, muddled, muddled_path, tmp_path):
    strange = replace(muddled_guide, facts={**muddled_guide.facts, "doctor": 3}).save(tmp_path / "strange.guide")
    with pytest.raises(GuideError, match=r"strange\.guide: this guide is damaged: doctor in guide\.json is"):
        fg.report([muddled_path, strange], muddled)
