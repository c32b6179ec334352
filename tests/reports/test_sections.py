"""The numbers of each section are those of the answers."""

import numpy as np
import pytest

from fieldguide.evaluate import evaluate
from fieldguide.pages.thumbnails import Room
from fieldguide.reports import gather
from fieldguide.reports.album import Album
from fieldguide.reports.belief import reliability, sets_of_classes, unknowns
from fieldguide.reports.classes import class_rows, confusions
from fieldguide.reports.costs import costs
from fieldguide.reports.learning import learning
from fieldguide.reports.photo_map import HEIGHT, WIDTH, photo_map
from fieldguide.reports.told import told_by


@pytest.fixture(scope="module")
def evidence(muddled_guide, muddled):
    (found,) = gather([muddled_guide], muddled)
    return found


@pytest.fixture(scope="module")
def probs(muddled_guide, evidence):
    return muddled_guide.head.probs(evidence.asked.features)


@pytest.fixture
def album():
    return Album(Room(10_000_000))


def test_classes_are_told_the_weakest_first(muddled_guide, evidence, probs):
    evaluation = evaluate(probs, evidence.asked.labels, muddled_guide.class_names)
    rows = class_rows(evaluation, {"green": 16, "blue": 17})
    assert rows[0]["name"] == "green" and len(rows) == 3
    weakest = rows[0]
    assert (weakest["right"], weakest["support"], weakest["recall"]) == (6, 8, 0.75)
    assert (weakest["taken_for"], weakest["taken"], weakest["num_learnt"]) == ("red", 2, 16)
    red = next(row for row in rows if row["name"] == "red")
    assert (red["answers"], red["precision"], red["num_learnt"], red["taken_for"]) == (10, 0.8, None, None)


def test_cells_hold_their_own_photos(muddled_guide, evidence, probs, album):
    evaluation = evaluate(probs, evidence.asked.labels, muddled_guide.class_names)
    found = confusions(evaluation, evidence.asked, probs, album)
    assert found["counts"] == [[8, 0, 0], [0, 6, 2], [0, 0, 8]] and found["totals"] == [8, 8, 8]
    assert found["pairs"] == [{"true": 1, "answer": 2, "count": 2}]
    photos = album.develop()
    wrong = [photos[number] for number in found["photos"]["1-2"]]
    assert sorted(photo[0] for photo in wrong) == ["val/green/00.png", "val/green/03.png"]
    assert all((label, answer) == (1, 2) and picture for _, label, answer, _, picture in wrong)
    assert wrong[0][3] >= wrong[1][3], "the surest first"
    right = [photos[number] for number in found["photos"]["0-0"]]
    assert [photo[3] for photo in right] == sorted(photo[3] for photo in right), "the least sure first"
    assert all(name.startswith("val/blue/") for name, *_ in right)


def test_probabilities_before_are_those_without_the_temperature(muddled_guide, evidence, probs):
    found = reliability(muddled_guide, probs, evidence.asked.labels)
    assert found["after"]["error"] == muddled_guide.evaluation.calibration.error
    colder = muddled_guide.head.cooled(1 / muddled_guide.trust.temperature)
    before = evaluate(colder.probs(evidence.asked.features), evidence.asked.labels, muddled_guide.class_names)
    assert found["before"]["error"] == pytest.approx(before.calibration.error, abs=1e-5)
    assert sum(each["count"] for each in found["after"]["bins"]) == 24


def test_sets_and_unknowns_are_what_predict_says(muddled_guide, muddled, evidence, probs, album):
    paths = [muddled / name for name in evidence.asked.names]
    answers = list(muddled_guide.predict_many(paths, coverage=0.95))
    truths = [muddled_guide.class_names[k] for k in evidence.asked.labels]
    found = sets_of_classes(muddled_guide, probs, evidence.asked.labels)
    assert found["held"] == np.mean([truth in a.classes for truth, a in zip(truths, answers, strict=True)])
    assert found["mean_size"] == pytest.approx(np.mean([len(a.classes) for a in answers]))
    assert found["alone"] == np.mean([len(a.classes) == 1 for a in answers])
    told = unknowns(muddled_guide, evidence.asked, probs, album)
    assert told["count"] == sum(a.is_unknown for a in answers) == len(told["photos"])
    shown = [photo[0] for photo in album.develop()]
    stranger = {name: a.familiarity for name, a in zip(evidence.asked.names, answers, strict=True) if a.is_unknown}
    assert shown == sorted(stranger, key=stranger.__getitem__)


def test_the_map_has_every_photo_once_and_says_which_were_wrong(evidence, probs, album):
    dots = photo_map(evidence, probs, album)
    kinds = [dot["kind"] for dot in dots]
    assert (kinds.count("known"), kinds.count("right"), kinds.count("wrong")) == (49, 22, 2)
    assert len({dot["photo"] for dot in dots}) == 73
    assert all(0 <= dot["x"] <= WIDTH and 0 <= dot["y"] <= HEIGHT for dot in dots)
    assert {min(dot["x"] for dot in dots), max(dot["x"] for dot in dots)} == {0, WIDTH}
    photos = album.develop()
    assert all(photos[dot["photo"]][1] == dot["class"] for dot in dots)


def test_what_more_photos_bring_is_told_of_all_there_are(muddled_guide, evidence):
    found = learning(muddled_guide, told_by(muddled_guide), evidence)
    (chart,) = found["charts"]
    assert [tick["text"] for tick in chart["x_ticks"]][-2:] == ["49", "98"]
    assert "with twice as many, hardly any" in found["sentence"] or "Twice as many photos are" in found["sentence"]


def test_costs_are_of_the_weights_and_of_a_running_engine(muddled_guide, evidence):
    muddled_guide.embedder.start()
    (found,) = costs([muddled_guide], evidence.asked)
    tensors = muddled_guide.backbone.weights.tensors.values()
    head = muddled_guide.head.weight.size + muddled_guide.head.bias.size
    assert found["parameters"] == sum(tensor.size for tensor in tensors) + head
    assert found["latency_ms"] > 0 and found["engine"] == muddled_guide.embedder.engine.description
