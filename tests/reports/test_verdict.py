"""The verdict: three sentences that someone understands who knows nothing of the field."""

import numpy as np
import pytest

from fieldguide.evaluate import evaluate
from fieldguide.reports.verdict import in_hundred, verdict, without_evidence

NAMES = ("cat", "dog", "owl")


def told(labels: list[int], answers: list[int], sure: float) -> list[str]:
    """The verdict on answers that were given with one probability."""
    probs = np.full((len(labels), 3), (1 - sure) / 2, np.float32)
    probs[np.arange(len(labels)), answers] = sure
    truth = np.array(labels)
    return verdict(evaluate(probs, truth, NAMES), probs, truth)


def test_it_says_how_good_what_is_confused_and_when_to_believe_it():
    labels = [0] * 20 + [1] * 20 + [2] * 10
    answers = [0] * 20 + [1] * 15 + [0] * 5 + [2] * 10
    assert told(labels, answers, 0.95) == [
        "Of 100 new photos like these it names about 90 rightly; it was asked about 50, after which anything from "
        "79 to 96 is plausible.",
        "Most often it takes dog for cat (5 of 20 photos); it knows cat best (20 of 20 right).",
        "It is at least 90 % sure of 100 of 100 photos, and of those it named 45 of 50 rightly.",
    ]


def test_no_mistake_is_no_promise_of_perfection():
    first, second, third = told([0, 1, 2] * 10, [0, 1, 2] * 10, 0.8)
    assert first == (
        "Of 100 new photos like these it names about 100 rightly; it was asked about 30, after which anything "
        "from 89 to 100 is plausible."
    )
    assert second == "It made no mistake among them."
    assert third.startswith("It was never 90 % sure: take its answers as suggestions")


def test_one_that_is_surer_than_it_should_be_is_told_off():
    probs = np.full((40, 3), 0.02, np.float32)
    probs[:30, 0], probs[30:, 0] = 0.96, 0.5
    labels = np.array([0] * 15 + [1] * 25)
    third = verdict(evaluate(probs, labels, NAMES), probs, labels)[2]
    assert third == (
        "It is at least 90 % sure of 75 of 100 photos, and of those it named only 15 of 30 rightly: it is surer "
        "than it should be."
    )


def test_sure_of_everything_and_wrong_in_half_is_surer_than_it_should_be():
    third = told([0] * 10 + [1] * 10, [0] * 20, 0.95)[2]
    assert third.endswith("named only 10 of 20 rightly: it is surer than it should be.")


def test_one_of_three_may_be_chance():
    probs = np.full((9, 3), 0.3, np.float32)
    probs[:3] = (0.92, 0.05, 0.03)
    labels = np.array([0, 0, 1, *[0] * 6])
    third = verdict(evaluate(probs, labels, NAMES), probs, labels)[2]
    assert third.endswith("33 of 100 photos, and of those it named 2 of 3 rightly; look at the others yourself.")


def test_without_photos_to_ask_about_nobody_knows():
    sentences = without_evidence(12, 3)
    assert len(sentences) == 3 and "nobody knows yet" in sentences[0] and "12 photos of 3 classes" in sentences[1]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0"), (0.001, "1"), (0.5, "50"), (0.917, "92"), (0.999, "99"), (1.0, "100")]
)
def test_nearly_all_is_not_all(share, text):
    assert in_hundred(share) == text
