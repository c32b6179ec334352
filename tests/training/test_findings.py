"""What a run finds in its photos, and the report that its guide holds."""

import shutil

import pytest

import fieldguide as fg
from fieldguide.introspection.trace import UntraceableError


@pytest.fixture
def faulty(colour_folder):
    """Three colours with an identical copy and a file that is none."""
    shutil.copyfile(colour_folder / "green" / "05.png", colour_folder / "green" / "copy.png")
    (colour_folder / "red" / "broken.jpg").write_bytes(b"no image")
    return colour_folder


@pytest.fixture
def muddled_colours(image_folder):
    """Two colours, where half of the photos held out lie in the wrong class."""
    folder = image_folder({"train/red": 6, "train/blue": 6, "val/red": 4, "val/blue": 4})
    for number, photo in enumerate(sorted((folder / "val" / "red").iterdir())[:2]):
        photo.rename(folder / "val" / "blue" / f"was red {number}.png")
    return folder


def found_by(guide):
    return {finding["kind"]: finding for finding in guide.facts["doctor"]}


def test_a_network_from_nothing_names_copies_and_damage_but_no_labels(faulty):
    guide = fg.train_network(faulty, model="multilayer_cnn", size_px=16, settings={"epochs": 1, "batch_size": 8})
    found = found_by(guide)
    (copies,) = found["copies"]["cases"]
    assert sorted(copies["photos"]) == ["green/05.png", "green/copy.png"]
    assert [case["photos"] for case in found["damaged"]["cases"]] == [["red/broken.jpg"]]
    assert "wrong label" not in found, "its mistakes are its own"


def test_a_network_holds_its_report_with_its_curves(faulty, tmp_path):
    target = tmp_path / "x.guide"
    settings = {"epochs": 2, "batch_size": 8, "validation": 0.2}
    guide = fg.train_network(faulty, model="multilayer_cnn", size_px=16, settings=settings, output=target)
    text = (target / "report.html").read_text(encoding="utf-8")
    assert text == guide.records["report.html"].decode()
    assert "loss, by epoch" in text and "right answers, by epoch" in text and 'alt="green/copy.png"' in text
    assert guide.facts["command"].replace("&", "&amp;") in text


def test_the_guide_is_kept_before_its_report_is_made(faulty, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("the report is broken")

    monkeypatch.setattr("fieldguide.training.outcome.with_report", fail)
    target = tmp_path / "x.guide"
    with pytest.raises(RuntimeError, match="the report is broken"):
        fg.train_network(faulty, model="multilayer_cnn", size_px=16, settings={"epochs": 1}, output=target)
    assert fg.load(target).class_names == ("blue", "green", "red")


def test_a_fine_tuned_network_tells_of_labels_that_its_validation_photos_contradict(image_folder, monkeypatch):
    folder = image_folder({f"{part}/{name}": 6 for part in ("train", "val", "test") for name in ("red", "blue")})
    photo = min((folder / "val" / "red").iterdir())
    photo.rename(folder / "val" / "blue" / "was red.png")
    monkeypatch.setattr("fieldguide.training.finetuning.leads", lambda ours, theirs: True)
    guide = fg.finetune(folder, size_px=64, settings={"epochs": 1, "lr": 1e-6})
    (case,) = found_by(guide)["wrong label"]["cases"]
    assert case["photos"] == ["val/blue/was red.png"]
    assert 'alt="val/blue/was red.png"' in guide.records["report.html"].decode(), "with its picture"
    assert "--finetune" in guide.facts["command"]


def test_a_network_that_can_not_be_followed_has_a_report_without_marks(muddled_colours, monkeypatch):
    def refuse(*_, **__):
        raise UntraceableError("the network can't be followed without computing")

    monkeypatch.setattr("fieldguide.explain.class_activation.list_nodes", refuse)
    text = fg.train(muddled_colours).records["report.html"].decode()
    assert "<article>" in text and "the marks of" not in text


def test_a_report_that_fails_is_a_warning_and_the_guide_is_there(colours, monkeypatch):
    monkeypatch.setattr("fieldguide.reports.page.photo_map", lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match="the report could not be made: ZeroDivisionError: division by zero"):
        guide = fg.train(colours)
    assert "report.html" not in guide.records and guide.evaluation.top1 == 1
