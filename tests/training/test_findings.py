"""What a run finds in its photos, and the report that its guide holds."""

import shutil

import pytest

import fieldguide as fg


@pytest.fixture
def faulty(colour_folder):
    """Three colours with an identical copy and a file that is none."""
    shutil.copyfile(colour_folder / "green" / "05.png", colour_folder / "green" / "copy.png")
    (colour_folder / "red" / "broken.jpg").write_bytes(b"no image")
    return colour_folder


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


def test_a_fine_tuned_network_tells_of_labels_that_its_validation_photos_contradict(colour_folder):
    for number in range(12, 30):
        shutil.copyfile(colour_folder / "red" / "01.png", colour_folder / "blue" / f"copy{number}.png")
    guide = fg.finetune(colour_folder, size_px=64, settings={"epochs": 1, "validation": 0.3})
    assert guide.facts["doctor"], "a picture under two labels, many times"
    assert "report.html" in guide.records and "--finetune" in guide.facts["command"]
