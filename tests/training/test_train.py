"""From photos to a guide: what is learnt, what is held out, and what can't be learnt from."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data import SkippedPhoto
from fieldguide.errors import DataError, UnknownNameError, WeightsError

TWO = {"red": 8, "blue": 8}


def photos_of(guide: fg.Guide) -> dict[str, tuple[int, int]]:
    """How many photos of each class it learnt from, and how many were held out."""
    return {name: (n["train"], n["held_out"]) for name, n in guide.facts["data"]["photos"].items()}


def model_of(guide: fg.Guide, tmp_path) -> bytes:
    return (guide.save(tmp_path / "model.guide") / "model.safetensors").read_bytes()


# What is learnt from, and what is held out


def test_an_unsplit_set_holds_out_some_of_each_class_by_content(colour_guide):
    data = colour_guide.facts["data"]
    assert data["split"] == "by content" and data["num_train"] + data["num_held_out"] == 36
    assert all(train >= 2 for train, _ in photos_of(colour_guide).values())
    assert colour_guide.evaluation.num_photos == data["num_held_out"] > 0
    assert colour_guide.evaluation.top1 == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"train/red": 4, "train/blue": 5, "val/red": 2, "val/blue": 1}, {"blue": (5, 1), "red": (4, 2)}),
        ({"train/red": 4, "train/blue": 5, "test/red": 2}, {"blue": (5, 0), "red": (4, 2)}),
        (
            {"train/red": 4, "train/blue": 4, "valid/red": 3, "valid/blue": 3, "test/red": 1, "test/blue": 2},
            {"blue": (4, 2), "red": (4, 1)},
        ),
    ],
    ids=["train and val", "train and test", "train, val and test"],
)
def test_a_split_set_is_held_out_as_given(image_folder, counts, expected):
    guide = fg.train(image_folder(counts))
    assert guide.facts["data"]["split"] == "given"
    assert photos_of(guide) == expected
    assert guide.evaluation.num_photos == sum(held for _, held in expected.values())


def test_photos_that_a_list_trains_on_are_not_held_out(image_folder, tmp_path):
    folder = image_folder({"red": 30, "blue": 30})
    photos = sorted(folder.rglob("*.png"))
    rows = [f"{p},{p.parent.name},{'train' if number % 2 else ''}" for number, p in enumerate(photos)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    guide = fg.train(tmp_path / "list.csv")
    held_out = set(guide.evaluation.answers.photo_names)
    assert held_out and held_out <= {str(photo) for photo in photos[::2]}


def test_a_train_part_alone_is_split_by_content(image_folder):
    guide = fg.train(image_folder({"train/red": 12, "train/blue": 12}))
    assert guide.facts["data"]["split"] == "by content"


def test_what_is_held_out_has_no_part_in_the_model(image_folder, tmp_path):
    folder = image_folder({"train/red": 6, "train/blue": 6, "val/red": 3, "val/blue": 3})
    before = fg.train(folder)
    shutil.rmtree(folder / "val")
    image_folder({"val/red": 1, "val/blue": 9})
    after = fg.train(folder)
    assert before.evaluation.num_photos == 6 and after.evaluation.num_photos == 10
    assert model_of(before, tmp_path) == model_of(after, tmp_path)


def test_adding_photos_moves_none_that_was_there(image_folder):
    folder = image_folder({"red": 20, "blue": 20})
    before = fg.train(folder)
    image_folder({"red": 10, "blue": 3})
    after = fg.train(folder)
    assert set(before.evaluation.answers.photo_names) <= set(after.evaluation.answers.photo_names)
    assert np.isin(before.seen, after.seen).all() and len(after.seen) > len(before.seen)


def test_the_same_photo_is_never_learnt_from_and_judged(image_folder):
    folder = image_folder({"train/red": 4, "train/blue": 4, "val/red": 2, "val/blue": 2})
    shutil.copy(next((folder / "train/red").iterdir()), folder / "val/red/twin.png")
    guide = fg.train(folder)
    assert guide.evaluation.num_photos == 4 and guide.evaluation.left_out == 1


@pytest.mark.parametrize("kind", ["too few", "all seen"])
def test_with_nothing_to_judge_there_is_a_guide_without_a_number(image_folder, kind):
    if kind == "too few":
        folder = image_folder({"red": 6, "blue": 6})
        for name in fg.train(folder).evaluation.answers.photo_names:
            (folder / name).unlink()  # what is left is not held out by its content
    else:
        folder = image_folder({"train/red": 2, "train/blue": 2})
        shutil.copytree(folder / "train/red", folder / "val/red")
    guide = fg.train(folder)
    assert guide.evaluation is None and guide.facts["metrics"] is None
    assert set(guide.records) == {"history.csv", "report.html"}
    assert guide.predict(next(folder.rglob("red/*.png"))).label == "red"


def test_two_runs_give_the_same_model_byte_for_byte(image_folder, tmp_path, monkeypatch):
    folder = image_folder({"red": 9, "blue": 9, "green": 5})
    first = model_of(fg.train(folder), tmp_path)
    assert model_of(fg.train(folder), tmp_path) == first, "features from the cache"
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(tmp_path / "cold"))
    assert model_of(fg.train(folder), tmp_path) == first, "features computed anew"


def test_the_order_of_the_classes_does_not_depend_on_the_order_of_the_files(image_folder):
    guides = [
        fg.train(image_folder(dict.fromkeys(names, 3), name="".join(names))) for names in (TWO, [*TWO][::-1])
    ]
    assert guides[0].class_names == guides[1].class_names == ("blue", "red")


def test_digits_are_learnt(digit_guide):
    assert digit_guide.class_names == tuple("0123456789")
    assert digit_guide.evaluation.top1 > 0.85
    assert digit_guide.evaluation.top5 > digit_guide.evaluation.top1
    assert digit_guide.facts["data"]["name"] == "digits"


@pytest.fixture(scope="module")
def digit_guide() -> fg.Guide:
    """A guide to 600 of the digits."""
    images = fg.open_images("digits")
    return fg.train(images.select(np.arange(len(images)) < 600))


@pytest.mark.parametrize("balanced", [False, True])
def test_uneven_classes_can_be_balanced(image_folder, balanced):
    guide = fg.train(image_folder({"red": 20, "blue": 3}), balanced=balanced)
    assert guide.facts["head"]["balanced"] == balanced


def test_size_and_fit_are_kept_in_the_guide(image_folder, tmp_path):
    guide = fg.train(image_folder(TWO), size_px=64, fit="pad", engine="torch-cpu")
    kept = fg.load(guide.save(tmp_path / "x.guide")).backbone.preprocess
    assert (kept.size_px, kept.fit) == (64, "pad") == (guide.backbone.preprocess.size_px, "pad")


def test_what_was_tried_is_kept_as_csv(colour_guide):
    rows = list(csv.DictReader(io.StringIO(colour_guide.records["history.csv"].decode())))
    assert set(rows[0]) == {"strength", "cross_validated_log_loss", "cross_validated_top1"}
    best = min(rows, key=lambda row: float(row["cross_validated_log_loss"]))
    assert float(best["strength"]) == pytest.approx(colour_guide.facts["head"]["strength"], rel=1e-4)


def test_the_metrics_in_the_guide_are_those_of_the_evaluation(colour_guide):
    metrics, evaluation = colour_guide.facts["metrics"], colour_guide.evaluation
    assert metrics["top1"] == evaluation.top1 and metrics["log_loss"] == evaluation.log_loss
    assert json.loads(colour_guide.records["metrics.json"])["top1"] == evaluation.top1


def test_the_fingerprint_of_the_data_changes_with_a_photo_or_a_label(image_folder):
    folder = image_folder(TWO)

    def fingerprint() -> str:
        return fg.train(folder).facts["data"]["fingerprint"]

    first = fingerprint()
    photo = next((folder / "red").iterdir())
    photo.rename(folder / "red" / "renamed.png")
    assert fingerprint() == first, "names of files play no part"
    (folder / "red" / "renamed.png").rename(folder / "blue" / "moved.png")
    assert fingerprint() != first


def test_progress_tells_of_every_stage(image_folder):
    stages = []
    fg.train(image_folder(TWO), on_progress=lambda stage, done, total: stages.append((stage, done == total)))
    assert list(dict.fromkeys(stage for stage, _ in stages)) == ["features", "strength", "head", "report"]
    assert {("features", True), ("strength", True), ("head", True), ("report", True)} <= set(stages)


# Bad photos, and files of no class


def test_bad_photos_are_skipped_counted_and_named_in_the_guide(image_folder, tmp_path):
    folder = image_folder(TWO)
    (folder / "red" / "läufer.jpg").write_bytes(b"")
    (folder / "blue" / "notes.txt").write_text("not a photo")
    guide = fg.train(folder)
    skipped = guide.facts["data"]["skipped"]
    assert {s["photo"]: s["reason"].split(" (")[0] for s in skipped} == {
        "red/läufer.jpg": "empty file",
        "blue/notes.txt": "not an image",
    }
    kept = json.loads((guide.save(tmp_path / "x.guide") / "guide.json").read_text(encoding="utf-8"))
    assert kept["data"]["skipped"] == skipped and kept["data"]["num_train"] + kept["data"]["num_held_out"] == 16


def test_bad_photos_held_out_are_in_the_evaluation(image_folder):
    folder = image_folder({"train/red": 3, "train/blue": 3, "val/red": 2})
    (folder / "val/red/bad.jpg").write_bytes(b"")
    assert fg.train(folder).evaluation.skipped == (SkippedPhoto("val/red/bad.jpg", "empty file"),)


def test_strict_stops_at_the_first_bad_photo(image_folder):
    folder = image_folder(TWO)
    (folder / "red" / "bad.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"red/bad\.jpg: empty file; stopped, as --strict asks"):
        fg.train(folder, strict=True)


def test_files_outside_class_folders_are_left_out_and_counted(image_folder):
    guide = fg.train(image_folder({**TWO, ".": 3}))
    assert guide.facts["data"]["unlabelled"] == 3
    assert guide.facts["data"]["num_train"] + guide.facts["data"]["num_held_out"] == 16


def test_a_folder_whose_name_is_not_unicode_gives_a_guide_that_can_be_saved(image_folder, tmp_path):
    odd = tmp_path / "fotos-\udce9"
    try:
        image_folder(TWO).rename(odd)
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    guide = fg.load(fg.train(odd).save(tmp_path / "x.guide"))
    assert guide.facts["data"]["name"].endswith("fotos-\\udce9")


# What can't be learnt from

EXPECTED = r"expected CLASS/\*\.jpg, or \{train,val,test\}/CLASS/\*\.jpg"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"red": 5},
            f"photos has one class, 'red'; a guide tells classes apart and needs two or more; {EXPECTED}",
        ),
        ({"red": 5, "blue": 1}, "photos: the class 'blue' has a single photo; every class needs 2 or more"),
        ({".": 5}, f"photos holds 5 files but no class folders; {EXPECTED}"),
        ({"val/red": 2, "val/blue": 2, "test/red": 3}, f"photos has the parts test but no train part; {EXPECTED}"),
        ({"val/red": 2, "val/blue": 2}, f"photos has the parts val but no train part; {EXPECTED}"),
        (
            {"train/red": 3, "train/blue": 3, "val/green": 3},
            "photos: the class 'green' has no photo in its train part; every class needs 2 or more",
        ),
        (
            {"train/red": 3, "train/blue": 1, "val/blue": 3},
            "photos: the class 'blue' has a single photo in its train part; every class needs 2 or more",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_can_not_be_learnt_from_says_what_was_found_and_what_is_expected(image_folder, counts, message):
    with pytest.raises(DataError, match=message):
        fg.train(image_folder(counts))


def test_an_empty_folder_holds_no_files(tmp_path):
    with pytest.raises(DataError, match=rf"{tmp_path.name} holds no files; {EXPECTED}"):
        fg.train(tmp_path)


def test_a_set_without_a_single_labelled_photo_holds_none(image_folder):
    images = fg.open_images(image_folder({**TWO, ".": 3}))
    with pytest.raises(DataError, match=f"photos holds no photos; {EXPECTED}"):
        fg.train(images.select(images.labels < 0))


def test_a_folder_of_something_else_is_refused_before_any_photo_is_decoded(image_folder, monkeypatch):
    folder = image_folder({"red": 6, "blue": 6})
    (folder / "tables").mkdir()
    for name in ("train.parquet", "test.parquet"):
        (folder / "tables" / name).write_bytes(b"PAR1")
    monkeypatch.setattr("fieldguide.embed.Embedder.embed", lambda *arguments, **options: pytest.fail("too late"))
    message = (
        r"the class 'tables' can be used to train; 2 photos were skipped \(tables/test\.parquet: not an image"
    )
    with pytest.raises(DataError, match=message):
        fg.train(folder)


def test_a_class_that_is_named_but_has_no_photo_is_refused(image_folder):
    images = fg.open_images(image_folder({**TWO, "green": 2}))
    with pytest.raises(DataError, match="photos: the class 'green' has no photo; every class needs 2 or more"):
        fg.train(images.select(images.labels != images.class_names.index("green")))


@pytest.mark.parametrize(
    ("name", "hint"), [("digts", "did you mean 'digits'"), ("qqqq", "known sets: cifar10, .*, digits, ")]
)
def test_a_path_that_is_not_there_is_told_the_near_names(name, hint):
    with pytest.raises(DataError, match=f"{name} does not exist, and no set has that name.*{hint}"):
        fg.train(name)


@pytest.mark.parametrize("classes", [{"red"}, {"red", "blue"}])
def test_a_class_of_which_no_photo_can_be_used_is_named_with_the_reasons(image_folder, classes):
    folder = image_folder({"red": 3, "blue": 3})
    for name in classes:
        for photo in (folder / name).iterdir():
            photo.write_bytes(b"")
    message = (
        rf"photos: no photo of the class '{min(classes)}' can be used to train; 3 photos were "
        rf"skipped \({min(classes)}/\d+\.png: empty file; .*\)"
    )
    with pytest.raises(DataError, match=message):
        fg.train(folder)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"size_px": 0}, ValueError, "size_px is 0; it must be from 1 to 8192"),
        ({"fit": "stretch"}, ValueError, "fit is 'stretch'; it must be crop, pad or squash"),
        (
            {"backbone": "efficientnet_lit0"},
            UnknownNameError,
            "'efficientnet_lit0', did you mean 'efficientnet_lite0'",
        ),
        (
            {"weights": "no/such.safetensors"},
            WeightsError,
            r"no/such\.safetensors does not exist; expected a \.safeten",
        ),
        ({"engine": "abacus"}, UnknownNameError, "no engine is called 'abacus'; known: .*torch-cpu"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_arguments_out_of_their_range_are_refused(colours, arguments, kind, message):
    with pytest.raises(kind, match=message):
        fg.train(colours, **arguments)
