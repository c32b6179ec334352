"""Ensembles: several guides answer together, by the mean of their probabilities."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import fieldguide as fg
from fieldguide.data import SkippedPhoto
from fieldguide.data.image_set import digest_prefixes
from fieldguide.errors import DataError, GuideError, PhotoError
from fieldguide.head import LinearHead


@pytest.fixture(scope="module")
def unsure_guide(colour_guide):
    """A guide on the same features that has the classes in another order, saw no photo and answers otherwise."""
    order = [2, 0, 1]
    head = LinearHead(
        colour_guide.head.weight[order] * 0.3, colour_guide.head.bias[order] + np.float32([0.4, 0, 0])
    )
    names = tuple(colour_guide.class_names[k] for k in order)
    return replace(colour_guide, head=head, class_names=names, seen=np.zeros(0, np.uint64))


@pytest.fixture
def both(colour_guide, unsure_guide):
    return fg.ensemble([colour_guide, unsure_guide])


def mean_of(first, second):
    """The mean of two predictions, by the names of the classes."""
    theirs = dict(zip(second.class_names, second.probs.tolist(), strict=True))
    return [
        (share + theirs[name]) / 2 for name, share in zip(first.class_names, first.probs.tolist(), strict=True)
    ]


def test_probabilities_are_the_mean_by_class_in_the_order_of_the_first(both, colour_guide, unsure_guide, colours):
    photo = colours / "green" / "03.png"
    alone, other, together = (g.predict(photo) for g in (colour_guide, unsure_guide, both))
    assert alone.class_names == together.class_names == both.class_names == ("blue", "green", "red")
    assert other.class_names == ("red", "blue", "green") and abs(alone.probability - other.probability) > 0.01
    np.testing.assert_allclose(together.probs, mean_of(alone, other), atol=1e-6)
    assert together.probs.dtype == np.float32 and together.probs.sum() == pytest.approx(1)
    assert together.photo == str(photo) and together.label == "green"


def test_every_kind_of_photo_is_answered(both, colours):
    photo = colours / "red" / "03.png"
    expected = both.predict(photo).probs
    for given in (str(photo), photo.read_bytes(), np.asarray(Image.open(photo)), Image.open(photo)):
        np.testing.assert_allclose(both.predict(given).probs, expected, atol=1e-6)


def test_an_ensemble_of_one_is_that_guide(colour_guide, colours):
    photo = colours / "red" / "03.png"
    np.testing.assert_array_equal(
        fg.ensemble([colour_guide]).predict(photo).probs, colour_guide.predict(photo).probs
    )


def test_many_photos_are_answered_in_order_and_bad_ones_named(both, colour_guide, unsure_guide, colour_folder):
    (colour_folder / "red" / "00.png").write_bytes(b"")
    results = list(both.predict_many([colour_folder / "red", colour_folder / "blue"]))
    assert isinstance(results[0], SkippedPhoto) and results[0].reason == "empty file"
    assert [r.label for r in results[1:]] == ["red"] * 11 + ["blue"] * 12
    each = zip(*(g.predict_many(str(colour_folder / "blue")) for g in (colour_guide, unsure_guide)), strict=True)
    for result, (first, second) in zip(results[12:], each, strict=True):
        assert result.photo == first.photo
        np.testing.assert_allclose(result.probs, mean_of(first, second), atol=1e-6)


def test_it_is_judged_by_its_own_answers(both, colours):
    found = both.evaluate(colours, include_training=True)
    assert (found.num_photos, found.left_out) == (36, 0) and [c.name for c in found.classes] == list(
        both.class_names
    )
    asked = [both.predict(colours / name) for name in found.answers.photo_names]
    np.testing.assert_allclose(found.answers.probs, [p.probs for p in asked], atol=1e-6)
    truth = [name.split("/")[0] for name in found.answers.photo_names]
    assert found.top1 == np.mean([p.label == t for p, t in zip(asked, truth, strict=True)])
    losses = [-np.log(p.probs[p.class_names.index(t)]) for p, t in zip(asked, truth, strict=True)]
    assert found.log_loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_what_any_of_them_was_trained_on_is_left_out(both, colour_guide, colours):
    found = both.evaluate(colours)
    assert found.left_out == len(colour_guide.seen) and found.num_photos + found.left_out == 36
    assert found.answers.photo_names == colour_guide.evaluation.answers.photo_names
    np.testing.assert_array_equal(found.answers.labels, colour_guide.evaluation.answers.labels)


def test_bad_photos_are_counted_and_named(both, colour_folder):
    (colour_folder / "red" / "bad.jpg").write_bytes(b"")
    found = both.evaluate(colour_folder, include_training=True)
    assert found.skipped == (SkippedPhoto("red/bad.jpg", "empty file"),) and found.num_photos == 36


def test_with_nothing_left_that_none_was_trained_on_it_says_so(colour_guide, colours):
    from fieldguide.data.image_set import content_digest

    others = [
        p for p in colours.rglob("*.png")
        if not np.isin(digest_prefixes([content_digest(p.read_bytes())]), colour_guide.seen)[0]
    ]  # fmt: skip
    seen = np.sort(digest_prefixes([content_digest(p.read_bytes()) for p in others]))
    with pytest.raises(DataError, match=r"colours leaves no photo to evaluate on: some guide of the ensemble was"):
        fg.ensemble([colour_guide, replace(colour_guide, seen=seen)]).evaluate(colours)


def test_guides_may_be_given_by_their_paths(saved_guide, colour_guide, colours, tmp_path):
    copy = shutil.copytree(saved_guide, tmp_path / "copy.guide")
    photo = colours / "red" / "03.png"
    together = fg.ensemble([str(saved_guide), copy], engine=colour_guide.embedder._engine_name)
    np.testing.assert_allclose(together.predict(photo).probs, colour_guide.predict(photo).probs, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("blue", "green", "yellow"), "guide 2 lacks the class 'red' of the first guide of the ensemble; guides"),
        (
            ("blue", "green", "red", "x"),
            "guide 2 knows the class 'x', unlike the first guide of the ensemble; guides",
        ),
    ],
)
def test_guides_to_other_classes_are_refused_with_the_difference(colour_guide, names, message):
    with pytest.raises(GuideError, match=message):
        fg.ensemble([colour_guide, replace(colour_guide, class_names=names)])


def test_what_is_no_list_of_guides_is_refused(colour_guide, tmp_path):
    with pytest.raises(ValueError, match="an ensemble of no guides; pass one or more"):
        fg.ensemble([])
    with pytest.raises(TypeError, match="an ensemble of Guide; it must be a list of guides, or of their paths"):
        fg.ensemble(colour_guide)
    with pytest.raises(GuideError, match=r"none\.guide does not exist"):
        fg.ensemble([colour_guide, tmp_path / "none.guide"])


def test_a_photo_that_can_not_be_used_is_named(both):
    with pytest.raises(PhotoError, match=r"^photo: empty file"):
        both.predict(b"")


@pytest.mark.parametrize("way", ["evaluate", "predict_many"])
def test_progress_counts_each_guides_look_at_each_photo(both, colours, way):
    calls: list[tuple[str, int, int]] = []
    answers = getattr(both, way)(colours, on_progress=lambda *call: calls.append(call))
    if way == "predict_many":
        assert len(list(answers)) == 36
    assert calls[-1] == ("features", 72, 72)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
