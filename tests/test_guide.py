"""The Guide: saved and loaded, asked in every way, and judged on what it has not seen."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fieldguide as fg
from fieldguide.data import SkippedPhoto
from fieldguide.errors import DataError, EngineError, GuideError, PhotoError, UnknownNameError
from fieldguide.guide import Prediction, choose_part, digest_prefixes
from fieldguide.guide_format import GuideFiles, write_guide

FORMS = ("again.guide", "again.zip")


@pytest.fixture
def red(colours) -> Path:
    return colours / "red" / "03.png"


@pytest.fixture
def split_folder(image_folder) -> Path:
    return image_folder(
        {"train/red": 6, "train/blue": 6, "val/red": 3, "val/blue": 4, "test/red": 2, "test/blue": 2}
    )


# Answers


def test_a_prediction_ranks_the_classes():
    prediction = Prediction("a.jpg", ("x", "y", "z"), np.array([0.2, 0.5, 0.3], np.float32))
    assert [name for name, _ in prediction.top(2)] == ["y", "z"] and len(prediction.top()) == 3
    assert prediction.label == "y" and prediction.probability == prediction.top(1)[0][1] == 0.5


@pytest.mark.parametrize("name", ["blue", "green", "red"])
def test_it_knows_the_classes_it_was_trained_on(colour_guide, colours, name):
    prediction = colour_guide.predict(colours / name / "05.png")
    assert prediction.label == name and prediction.probability > 0.8
    assert prediction.photo == str(colours / name / "05.png")
    assert prediction.probs.sum() == pytest.approx(1)


def in_every_way(path: Path) -> dict[str, object]:
    picture = Image.open(path)
    return {
        "path": path, "text": str(path), "bytes": path.read_bytes(), "image": picture,
        "pixels": np.asarray(picture.convert("RGB")),
    }  # fmt: skip


def test_path_bytes_pixels_and_image_get_the_same_answer(colour_guide, red):
    answers = {way: colour_guide.predict(photo).probs for way, photo in in_every_way(red).items()}
    for way, probs in answers.items():
        np.testing.assert_allclose(probs, answers["path"], atol=1e-6, err_msg=way)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_an_image_of_any_kind_is_seen_as_its_file_is(colour_guide, tmp_path, mode):
    ramp = np.add.outer(np.arange(96), np.arange(96))
    depth = {"I;16": (300, np.uint16), "I": (300, np.int32), "F": (1 / 190, np.float32)}
    if mode in depth:
        scale, dtype = depth[mode]
        picture = Image.fromarray((ramp * scale).astype(dtype))
    else:
        channels = [ramp, 190 - ramp, ramp // 2, ramp][: 4 if mode in ("LA", "RGBA") else 3]
        picture = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).convert(mode)
    picture.save(tmp_path / "photo.tiff")
    from_file, from_image = colour_guide.predict(tmp_path / "photo.tiff"), colour_guide.predict(picture)
    np.testing.assert_allclose(from_image.probs, from_file.probs, atol=0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_exif_is_applied_to_files_and_to_images(colour_guide, tmp_path, orientation):
    upright = Image.new("RGB", (64, 64), (40, 60, 200))
    upright.paste((210, 40, 40), (0, 0, 64, 20))  # red above, blue below
    undo = {
        2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
        6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270",
    }  # fmt: skip
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    expected = colour_guide.predict(np.asarray(upright)).probs
    for way, photo in in_every_way(tmp_path / "photo.png").items():
        if way != "pixels":  # which have no orientation
            np.testing.assert_allclose(colour_guide.predict(photo).probs, expected, atol=1e-6, err_msg=way)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        ("no/such.jpg", r"^no/such\.jpg: the file does not exist"),
        (b"", r"^photo: empty file"),
        (b"<html>not found</html>", r"^photo: not an image \(JPEG, PNG, WebP, GIF, BMP or TIFF\)"),
        (b"\xff\xd8\xff" + b"x" * 50, r"^photo: damaged: "),
        (np.zeros((0, 5, 3), np.uint8), r"^photo: "),
        (np.zeros((5, 5, 7), np.uint8), r"^photo: damaged: "),
    ],
)
def test_a_photo_that_can_not_be_used_is_named_with_the_reason(colour_guide, photo, message):
    with pytest.raises(PhotoError, match=message):
        colour_guide.predict(photo)


def test_an_image_whose_file_is_cut_short_is_a_bad_photo_too(colour_guide, red):
    with pytest.raises(PhotoError, match=r"^image: damaged: .*(truncated|incomplete)"):
        colour_guide.predict(Image.open(io.BytesIO(red.read_bytes()[:2000])))


@pytest.mark.parametrize(
    ("photo", "kind"), [(7, "int"), (None, "NoneType"), (["a.jpg"], "list"), (np.zeros((4, 4, 3)), "float64")]
)
def test_what_is_no_photo_is_a_wrong_call(colour_guide, photo, kind):
    with pytest.raises(
        TypeError, match=f"a photo of {kind}; it must be a path, bytes, uint8 pixels, or a PIL image"
    ):
        colour_guide.predict(photo)


def test_many_photos_are_answered_in_order_and_bad_ones_named(colour_guide, colour_folder):
    (colour_folder / "red" / "05x.jpg").write_bytes(b"oh")
    (colour_folder / "red" / "00.png").write_bytes(b"")
    results = list(colour_guide.predict_many([colour_folder / "green", colour_folder / "red"]))
    assert [r.label for r in results if isinstance(r, Prediction)] == ["green"] * 12 + ["red"] * 11
    asked = sorted((colour_folder / "green").iterdir()) + sorted((colour_folder / "red").iterdir())
    assert [r.name if isinstance(r, SkippedPhoto) else r.photo for r in results] == list(map(str, asked))
    bad = [r for r in results if isinstance(r, SkippedPhoto)]
    assert [(Path(b.name).name, b.reason.split(" (")[0]) for b in bad] == [
        ("00.png", "empty file"),
        ("05x.jpg", "not an image"),
    ]


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_may_be_given_as_it_is(colour_guide, colours, kind):
    assert [p.label for p in colour_guide.predict_many(kind(colours / "blue"))] == ["blue"] * 12


def test_an_image_set_may_be_given(colour_guide, colours):
    images = fg.open_images(colours)
    answers = list(colour_guide.predict_many(images))
    assert [a.label for a in answers] == [images.class_names[k] for k in images.labels]


def test_paths_are_checked_when_asked_and_not_at_the_first_answer(colour_guide, colours, tmp_path):
    with pytest.raises(DataError, match=r"nope\.jpg does not exist; expected photos, or folders of photos"):
        colour_guide.predict_many([colours, tmp_path / "nope.jpg"])
    with pytest.raises(DataError, match="no photos in an empty list"):
        colour_guide.predict_many([])


# Saved and loaded


@pytest.mark.parametrize("form", FORMS)
def test_a_loaded_guide_gives_identical_answers(colour_guide, colours, tmp_path, form):
    loaded = fg.load(colour_guide.save(tmp_path / form))
    assert loaded.class_names == colour_guide.class_names
    assert loaded.backbone.preprocess == colour_guide.backbone.preprocess
    for first, second in zip(*(g.predict_many([colours]) for g in (colour_guide, loaded)), strict=True):
        np.testing.assert_array_equal(first.probs, second.probs)


ASK = """
import json, sys
import fieldguide as fg
guide = fg.load(sys.argv[1])
print(json.dumps([[p.photo, p.probs.tolist()] for p in guide.predict_many(sys.argv[2])]))
"""


@pytest.mark.parametrize("form", FORMS)
def test_another_process_with_another_cache_gives_identical_answers(colour_guide, colours, tmp_path, form):
    path = colour_guide.save(tmp_path / form)
    environment = {**os.environ, "FIELDGUIDE_CACHE": str(tmp_path / "elsewhere")}
    command = [sys.executable, "-c", ASK, str(path), str(colours)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for (photo, probs), here in zip(json.loads(result.stdout), colour_guide.predict_many(colours), strict=True):
        assert photo == here.photo
        np.testing.assert_array_equal(np.array(probs, np.float32), here.probs)


def test_a_guide_saved_again_is_the_same_guide(saved_guide, tmp_path):
    again = fg.load(saved_guide).save(tmp_path / "again.guide")
    for file in saved_guide.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


def test_what_a_guide_says_of_itself(saved_guide, colours):
    facts = json.loads((saved_guide / "guide.json").read_text(encoding="utf-8"))
    assert facts["format_version"] == 1 and facts["fieldguide_version"] == fg.__version__
    assert facts["architecture"]["name"] == "efficientnet_lite0"
    assert facts["class_names"] == ["blue", "green", "red"]
    assert facts["preprocess"]["size_px"] == 224 and facts["preprocess"]["fit"] == "crop"
    assert facts["data"]["name"] == str(colours)
    assert set(facts["versions"]) >= {"python", "torch", "numpy", "pillow"}
    assert {f.name for f in saved_guide.iterdir()} == {
        "guide.json", "model.safetensors", "metrics.json", "history.csv", "predictions.parquet", "report.html"
    }  # fmt: skip


def test_a_home_folder_may_be_written_as_a_tilde(colour_guide, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert colour_guide.save("~/x.guide") == tmp_path / "x.guide"
    assert fg.load("~/x.guide").class_names == colour_guide.class_names


def test_something_else_is_not_overwritten(colour_guide, colour_folder):
    with pytest.raises(GuideError, match=r"colours already exists and is not a guide"):
        colour_guide.save(colour_folder)


@pytest.mark.parametrize(
    ("fact", "value", "message"),
    [
        ("class_names", ["a", "b"], r"ValueError: 2 classes, but a head of \(3, 1280\)"),
        ("class_names", 3, "TypeError: 'int' object is not iterable"),
        (
            "class_names",
            {"a": 1, "b": 2, "c": 3},
            r"TypeError: class_names is \{'a': 1, .*; it must be a list of",
        ),
        (
            "class_names",
            ["a", "b", None],
            r"TypeError: class_names is \['a', 'b', None\]; it must be a",
        ),
        ("class_names", ["a", "b", "a"], "ValueError: class_names has a name twice: a, b, a"),
        ("architecture", {"arguments": {}}, "KeyError: 'name'"),
        ("architecture", {"name": 3, "arguments": {}}, "TypeError: the architecture 3 with the arguments {}"),
        ("architecture", {"name": "x", "arguments": []}, "TypeError: the architecture 'x' with the arguments"),
        ("architecture", None, "TypeError: 'NoneType' object is not subscriptable"),
        ("preprocess", {"size_px": 224}, r"ValueError: preprocess has the fields \['size_px'\]; expected"),
        ("preprocess", {"size_px": 0}, "ValueError: size_px is 0; it must be from 1 to 8192"),
        (
            "preprocess",
            {"mean": [None, 0, 0]},
            r"ValueError: mean is \(None, 0, 0\) and std .*; every value",
        ),
    ],
)
def test_facts_that_do_not_fit_are_damage(saved_guide, tmp_path, fact, value, message):
    path = Path(shutil.copytree(saved_guide, tmp_path / "x.guide"))
    facts = json.loads((path / "guide.json").read_text())
    if fact == "preprocess" and value != {"size_px": 224}:
        value = facts["preprocess"] | value
    (path / "guide.json").write_text(json.dumps({**facts, fact: value}))
    with pytest.raises(GuideError, match=rf"x\.guide is damaged: {message}"):
        fg.load(path)


@pytest.mark.parametrize("missing", ["head.weight", "head.bias", "training_photos"])
def test_a_model_that_lacks_a_tensor_is_damage(colour_guide, tmp_path, monkeypatch, missing):
    def without(path: Path, files: GuideFiles) -> None:
        del files.tensors[missing]
        write_guide(path, files)

    monkeypatch.setattr("fieldguide.guide.write_guide", without)
    with pytest.raises(GuideError, match=rf"x\.guide is damaged: KeyError: '{missing}'"):
        fg.load(colour_guide.save(tmp_path / "x.guide"))


def test_an_engine_is_chosen_by_name_and_agrees(saved_guide, red):
    with_torch = fg.load(saved_guide, engine="torch-cpu").predict(red)
    np.testing.assert_allclose(with_torch.probs, fg.load(saved_guide).predict(red).probs, atol=0.02)


@pytest.mark.parametrize(
    ("engine", "kind", "message"),
    [
        ("openvin", UnknownNameError, "no engine is called 'openvin', did you mean 'openvino'"),
        (
            "torch-mps" if sys.platform != "darwin" else "torch-cuda",
            EngineError,
            "'torch-.*' does not run on this",
        ),
    ],
)
def test_an_engine_that_is_not_here_is_named(saved_guide, red, engine, kind, message):
    with pytest.raises(kind, match=message):
        fg.load(saved_guide, engine=engine).predict(red)


# Judged


def test_what_it_was_trained_on_is_left_out_and_counted(colour_guide, colours):
    found = colour_guide.evaluate(colours)
    assert found.left_out == len(colour_guide.seen) == colour_guide.facts["data"]["num_train"]
    assert found.num_photos + found.left_out == 36
    assert replace(found, left_out=0) == colour_guide.evaluation, (
        "the same photos were held out when it was trained"
    )


def test_what_it_was_trained_on_is_known_by_its_content(colour_guide, colours, tmp_path):
    for number, path in enumerate(sorted(colours.rglob("*.png"))):
        copy = tmp_path / "copies" / path.parent.name / f"other name {number}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert colour_guide.evaluate(tmp_path / "copies").left_out == len(colour_guide.seen)


def test_training_photos_are_judged_where_that_is_asked(colour_guide, colours):
    found = colour_guide.evaluate(colours, include_training=True)
    assert (found.num_photos, found.left_out) == (36, 0)


def test_nothing_left_to_judge_is_an_error(colour_guide, colour_folder):
    for number, path in enumerate(sorted(colour_folder.rglob("*.png"))):
        if not np.isin(digest_prefixes([content_digest(path)]), colour_guide.seen)[0]:
            path.write_bytes(b"") if number % 2 else path.unlink()
    bad = sum(not p.stat().st_size for p in colour_folder.rglob("*.png"))
    seen = len(colour_guide.seen)
    message = (
        f"colours leaves no photo to evaluate on: of {seen + bad}, {seen} were trained on and {bad} can't be used"
    )
    with pytest.raises(DataError, match=message):
        colour_guide.evaluate(colour_folder)


def content_digest(path: Path) -> bytes:
    from fieldguide.data.image_set import content_digest

    return content_digest(path.read_bytes())


def test_bad_photos_are_counted_and_named(colour_guide, image_folder):
    folder = image_folder({"red": 3, "blue": 3})
    (folder / "red" / "bad.jpg").write_bytes(b"")
    found = colour_guide.evaluate(folder)
    assert found.skipped == (SkippedPhoto("red/bad.jpg", "empty file"),) and found.num_photos == 6


def test_files_without_a_class_are_not_judged(colour_guide, image_folder):
    folder = image_folder({"red": 3, "blue": 3, ".": 2})
    assert colour_guide.evaluate(folder).num_photos == 6


def test_an_unknown_class_is_refused_with_those_it_knows(colour_guide, image_folder):
    folder = image_folder({"red": 2, "yellow": 2})
    message = "photos has the class 'yellow', which this guide does not know; it knows blue, green, red$"
    with pytest.raises(DataError, match=message):
        colour_guide.evaluate(folder)


def test_of_very_many_classes_only_some_are_listed(colour_guide, image_folder):
    names = tuple(f"class {k}" for k in range(30))
    many = replace(colour_guide, class_names=names)
    with pytest.raises(DataError, match=r"it knows class 0, .*, class 19, \.\.\.$"):
        many.evaluate(image_folder({"yellow": 2}))


@pytest.mark.parametrize("names", [("red",), ("red", "blue"), ("green", "red")])
def test_a_folder_with_some_of_the_classes_is_judged_by_the_guides_order(colour_guide, image_folder, names):
    found = colour_guide.evaluate(image_folder(dict.fromkeys(names, 3)))
    assert [c.name for c in found.classes] == ["blue", "green", "red"]
    assert {c.name: c.support for c in found.classes if c.support} == dict.fromkeys(names, 3)
    assert found.top1 == 1 and found.num_photos == 3 * len(names)


def test_the_part_to_judge_on_can_be_chosen(colour_guide, split_folder):
    counts = {part: colour_guide.evaluate(split_folder, part=part).num_photos for part in ("train", "val", "test")}
    assert counts == {"train": 12, "val": 7, "test": 4}
    assert colour_guide.evaluate(split_folder).num_photos == 4, "by default the test part"
    shutil.rmtree(split_folder / "test")
    assert colour_guide.evaluate(split_folder).num_photos == 7, "without one, the val part"


@pytest.mark.parametrize(
    ("split", "part", "present"), [(True, "test", "train, val"), (False, "val", "none: it is not split")]
)
def test_a_part_that_is_not_there_is_refused(image_folder, split, part, present):
    counts = {"train/red": 2, "train/blue": 2, "val/red": 1} if split else {"red": 2, "blue": 2}
    with pytest.raises(DataError, match=f"photos has no part '{part}'; it has {present}"):
        choose_part(fg.open_images(image_folder(counts)), part)


def test_the_part_that_train_judged_gives_the_number_that_train_gave(split_folder):
    shutil.rmtree(split_folder / "test")
    guide = fg.train(split_folder)
    assert guide.evaluate(split_folder / "val") == guide.evaluate(split_folder) == guide.evaluation


def test_the_answers_are_kept_beside_the_scores(colour_guide, colours):
    answers = colour_guide.evaluate(colours, include_training=True).answers
    assert len(answers.photo_names) == len(answers.labels) == len(answers.probs) == 36
    alone = colour_guide.predict(colours / answers.photo_names[7])
    np.testing.assert_allclose(answers.probs[7], alone.probs, atol=1e-6)


def test_progress_reaches_every_photo(colour_guide, colours):
    calls = []
    colour_guide.evaluate(colours, on_progress=lambda *call: calls.append(call))
    assert calls[-1] == ("features", 36, 36)
    list(colour_guide.predict_many(colours, lambda *call: calls.append(call)))
    assert calls[-1] == ("features", 36, 36)


def test_a_prediction_prints_its_answers(colour_guide, red):
    printed = str(colour_guide.predict(red))
    assert re.fullmatch(r".*: red \d+\.\d%, \w+ \d+\.\d%, \w+ \d+\.\d%", printed), printed


def test_digest_prefixes_tell_photos_apart():
    digests = [bytes(range(k, k + 32)) for k in range(5)]
    prefixes = digest_prefixes(digests)
    assert prefixes.dtype == np.uint64 and len(set(prefixes.tolist())) == 5
    assert int(prefixes[0]) == int.from_bytes(digests[0][:8], "big")
    assert len(digest_prefixes([])) == 0


def test_a_guide_without_trust_answers_all_the_same_and_promises_no_coverage(colour_guide, colours, tmp_path):
    plain = replace(colour_guide, trust=None)
    photo = colours / "red" / "03.png"
    answer = fg.load(plain.save(tmp_path / "old.guide")).predict(photo)
    assert (answer.familiarity, answer.is_unknown, answer.label) == (None, False, "red")
    with pytest.raises(GuideError, match=r"was asked about no photo .* with a frequency of 0\.95; train it anew"):
        plain.predict(photo, coverage=0.95)
    with pytest.raises(ValueError, match=r"coverage is 1\.5; it must be above 0 and below 1"):
        colour_guide.predict(photo, coverage=1.5)


def test_trust_is_saved_with_the_guide(colour_guide, colours, tmp_path):
    again = fg.load(colour_guide.save(tmp_path / "x.guide"))
    for number in (1, 7):
        photo = colours / "blue" / f"{number:02d}.png"
        ours, theirs = (g.predict(photo, coverage=0.9) for g in (colour_guide, again))
        assert (ours.familiarity, ours.is_unknown, ours.classes) == (
            theirs.familiarity,
            theirs.is_unknown,
            theirs.classes,
        )
    assert again.trust.temperature == colour_guide.trust.temperature
