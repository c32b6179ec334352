"""What made a guide say so."""

import numpy as np
import pytest
import torch
from PIL import Image

import fieldguide as fg
from fieldguide.data import Preprocess, open_photos
from fieldguide.embed import Embedder
from fieldguide.errors import DataError, PhotoError
from fieldguide.explain import Explainer, Marks
from fieldguide.explain.class_activation import grad_cam
from fieldguide.explain.deletion import _hottest, deletion_test
from fieldguide.explain.examples import nearest_examples
from fieldguide.explain.insides import node_maps
from fieldguide.guide import Guide
from fieldguide.head import LinearHead
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights


def test_channels_are_weighed_by_their_mean_gradient():
    activation = torch.tensor([[[[1.0, 2.0], [0.0, 3.0]], [[4.0, 0.0], [1.0, 1.0]]]])
    gradient = torch.tensor([[[[1.0, 1.0], [1.0, 5.0]], [[-1.0, -1.0], [-1.0, -1.0]]]])
    assert grad_cam(activation, gradient).tolist() == [[[[0.0, 4.0], [0.0, 5.0]]]]


def test_without_a_class_the_most_probable_one_is_explained(colour_guide, colours):
    photo = (colours / "red" / "02.png").read_bytes()
    (marks,) = Explainer(colour_guide).explain(photo)
    answer = colour_guide.predict(photo)
    assert marks.class_name == answer.label == "red"
    assert marks.probability == pytest.approx(answer.probability, abs=0.02), "torch's float32 beside the engine's"
    assert marks.picture.shape == (224, 224, 3) and marks.heat.max() == 1


def test_a_photo_is_explained_in_every_form_that_predict_takes(colour_guide, colours):
    path = colours / "red" / "02.png"
    explainer = Explainer(colour_guide)
    (expected,) = explainer.explain(path.read_bytes())
    with Image.open(path) as picture:
        forms = [path, str(path), picture, np.asarray(picture)]
        for photo in forms:
            (marks,) = explainer.explain(photo)
            assert (marks.picture == expected.picture).all() and (marks.heat == expected.heat).all()
            maps = node_maps(colour_guide, photo, "stages.2")
            assert (maps == node_maps(colour_guide, path.read_bytes(), "stages.2")).all()
    with pytest.raises(PhotoError, match="the file does not exist"):
        explainer.explain("no/such.jpg")
    with pytest.raises(TypeError, match="a photo of float32; it must be a path, bytes, uint8 pixels, or a PIL"):
        explainer.explain(np.zeros((4, 4), np.float32))


def test_a_class_that_is_none_is_named(colour_guide, colours):
    with pytest.raises(ValueError, match="the guide knows no class 'pink'; it knows blue, green, red"):
        Explainer(colour_guide).explain((colours / "red" / "02.png").read_bytes(), ["pink"])


def test_a_photo_that_can_not_be_used_is_an_error(colour_guide):
    with pytest.raises(PhotoError, match="not an image"):
        Explainer(colour_guide).explain(b"no photo")


def test_covering_what_counts_costs_more_than_covering_anything():
    # A network that sees one thing: how bright the upper left quarter is, for class a, against the rest, for b.
    upper_left = np.zeros((28, 28), np.float32)
    upper_left[:14, :14] = 1
    weight = np.stack([upper_left.ravel(), (1 - upper_left).ravel() / 3]) / 196
    preprocess = Preprocess(size_px=28, channels=1, mean=(0.5,), std=(0.5,))
    embedder = Embedder(Backbone("dense", Weights(dict), preprocess, {}), engine="torch-cpu")
    guide = Guide(embedder, LinearHead(weight, np.zeros(2, np.float32)), ("a", "b"))
    picture = np.full((28, 28, 1), 30, np.uint8)
    picture[:14, :14] = 240
    right, wrong = (
        deletion_test(guide, [Marks("a", 1.0, picture, heat, "")]) for heat in (upper_left, 1 - upper_left)
    )
    assert right.num_photos == 1 and right.marked > 0.15 > abs(wrong.marked)
    assert right.marked > 2 * right.random
    assert deletion_test(guide, [Marks("a", 1.0, picture, upper_left, "")]) == right, "the same each time"
    (marks,) = Explainer(guide).explain(picture, ["a"])
    assert (marks.heat[:14, :14] > 0).all() and not marks.heat[14:].any(), "without maps the pixels tell"


def test_examples_are_known_photos_the_most_alike_first(colour_guide, colours):
    images = fg.open_images(colours)
    examples = nearest_examples(colour_guide, open_photos([colours / "green" / "04.png"]), images, count=4)
    assert [e.class_name for e in examples] == ["green"] * 4
    likeness = [e.likeness for e in examples]
    assert likeness == sorted(likeness, reverse=True) and likeness[0] <= 1.001
    assert "green/04.png" not in [e.name for e in examples], "not the photo itself"
    assert all(e.name.startswith("green/") and e.picture.shape == (224, 224, 3) for e in examples)


def test_examples_of_photos_that_were_not_learnt_from_are_refused(colour_guide, colours, image_folder):
    other = fg.open_images(image_folder({"red": 3, "blue": 3}))
    with pytest.raises(DataError, match=r"learnt from no photo of .*; pass the photos that it was trained on"):
        nearest_examples(colour_guide, open_photos([colours / "green" / "04.png"]), other)
    with pytest.raises(PhotoError, match=r"guide.json: not an image"):
        (other_photo := image_folder({"x": 1}, name="o") / "guide.json").write_text("{}")
        nearest_examples(colour_guide, open_photos([other_photo]), other)


def test_on_real_photos_marks_matter(photos):
    guide = fg.train(photos / "flowers")
    images = fg.open_images(photos / "flowers")
    index = {name: number for number, name in enumerate(images.photo_names)}
    answers = guide.evaluation.answers
    right = [
        name
        for name, label, probs in zip(answers.photo_names, answers.labels, answers.probs, strict=True)
        if probs.argmax() == label
    ]
    explainer = Explainer(guide)
    test = deletion_test(guide, [explainer.explain(images.read(index[name]))[0] for name in right[::7]])
    assert test.num_photos > 30 and test.marked > 1.4 * test.random


def test_names_of_classes_are_no_formulas():
    from fieldguide.pictures.answers import draw_answer
    from fieldguide.pictures.marks import Panel, draw_panels

    names, values = ["a$_$b", "$100 vs $200"], np.array([0.6, 0.4], np.float32)
    picture = np.zeros((8, 8, 3), np.uint8)
    assert draw_panels([[Panel(name, picture) for name in names]]).startswith(b"\x89PNG")
    assert draw_answer(names, values, values, 0).startswith(b"\x89PNG")


def test_where_little_is_hot_no_more_is_covered():
    heat = np.zeros((20, 20), np.float32)
    heat[3, 4] = 1
    assert _hottest(heat).sum() == 1 and _hottest(heat)[3, 4]
    assert _hottest(np.random.default_rng(0).random((20, 20)).astype(np.float32)).sum() == 80
