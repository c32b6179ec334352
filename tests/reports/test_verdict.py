"""The verdict: three sentences that someone understands who knows nothing of the field."""

import numpy as np
import pytest

from fieldguide.evaluate import evaluate
from fieldguide.reports.verdict import Verdict, verdict, without_evidence
from fieldguide.words import in_hundred, listed

NAMES = ("cat", "dog", "owl")


def told(labels: list[int], answers: list[int], sure: float, *, num_unknown: int = 0) -> Verdict:
    """The verdict on answers that were given with one probability, the first of them to photos called unknown."""
    probs = np.full((len(labels), 3), (1 - sure) / 2, np.float32)
    probs[np.arange(len(labels)), answers] = sure
    truth = np.array(labels)
    return verdict(evaluate(probs, truth, NAMES), probs, truth, np.arange(len(labels)) < num_unknown)


def test_it_says_how_good_what_is_confused_and_when_to_believe_it():
    labels = [0] * 20 + [1] * 20 + [2] * 10
    answers = [0] * 20 + [1] * 15 + [0] * 5 + [2] * 10
    assert told(labels, answers, 0.95) == Verdict(
        (
            "Of 100 new photos like these it names about 90 rightly; it was asked about 50, after which anything "
            "from 79 to 96 is plausible.",
            "Most often it takes dog for cat (5 of 20 photos); it knows cat best (20 of 20 right).",
            "It is at least 90 % sure of 100 of 100 photos, and of those it named 45 of 50 rightly.",
        )
    )


def test_no_mistake_is_no_promise_of_perfection():
    first, second, third = told([0, 1, 2] * 10, [0, 1, 2] * 10, 0.8).sentences
    assert first == (
        "Of 100 new photos like these it names about 100 rightly; it was asked about 30, after which anything "
        "from 89 to 100 is plausible."
    )
    assert second == "It made no mistake among those 30."
    assert third.startswith("It was never 90 % sure: take its answers as suggestions")


def test_what_it_calls_unknown_is_not_what_it_is_sure_of():
    third = told([0, 1, 2] * 10, [0, 1, 2] * 10, 0.95, num_unknown=3).sentences[2]
    assert third == (
        "It calls 10 of 100 photos unknown. It is at least 90 % sure of 90 of 100 photos, and of those it named "
        "27 of 27 rightly; look at the others yourself."
    )


def test_one_that_is_surer_than_it_should_be_is_told_off():
    probs = np.full((60, 3), 0.02, np.float32)
    probs[:30, 0], probs[30:, 1] = 0.96, 0.5
    labels = np.array([0] * 15 + [2] * 15 + [1] * 30)
    third = verdict(evaluate(probs, labels, NAMES), probs, labels, np.zeros(60, np.bool_)).sentences[2]
    assert third == (
        "It is at least 90 % sure of 50 of 100 photos, and of those it named only 15 of 30 rightly: it is surer "
        "than it should be."
    )


def test_one_of_three_may_be_chance():
    probs = np.full((40, 3), 0.3, np.float32)
    probs[:3] = (0.92, 0.05, 0.03)
    probs[3:, 1] = 0.4
    labels = np.array([0, 0, 1, *[1] * 17, *[2] * 20])
    probs[20:, 2] = 0.5
    third = verdict(evaluate(probs, labels, NAMES), probs, labels, np.zeros(40, np.bool_)).sentences[2]
    assert third.endswith("8 of 100 photos, and of those it named 2 of 3 rightly; look at the others yourself.")


def test_one_that_is_no_better_than_guessing_is_not_to_be_relied_on():
    found = told([0] * 60 + [1] * 60 + [2] * 60, [2] * 180, 0.95)
    assert found == Verdict(
        (
            "It is no better than guessing: of the 180 photos that it was asked about it named 33 in 100 rightly, "
            "and always to say cat gets 33.",
            "Most often it takes cat for owl (60 of 60 photos).",
            "Do not rely on it: train it for longer, on more photos, or on features that are known already.",
        ),
        is_warning=True,
    )


def test_two_photos_tell_nothing():
    assert told([0, 0], [0, 0], 0.95) == Verdict(
        (
            "How good it is can't be told yet: it was asked about 2 photos alone, of which it named 2 rightly, "
            "and of 100 new ones anything from 34 to 100 is plausible.",
            "It made no mistake among those 2; no photo of dog and owl was among them.",
            "Keep more photos aside and evaluate it on them before you rely on it.",
        ),
        is_warning=True,
    )


def test_without_photos_to_ask_about_nobody_knows():
    found = without_evidence(12, 3)
    sentences = found.sentences
    assert found.is_warning and "nobody knows yet" in sentences[0] and "12 photos of 3 classes" in sentences[1]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0"), (0.001, "1"), (0.5, "50"), (0.917, "92"), (0.999, "99"), (1.0, "100")]
)
def test_nearly_all_is_not_all(share, text):
    assert in_hundred(share) == text


def test_of_many_names_some_are_listed():
    names = ["ant", "bee", "cat", "dog", "elk"]
    assert [listed(names[:count]) for count in (1, 2, 3)] == ["ant", "ant and bee", "ant, bee and cat"]
    assert listed(names) == "ant, bee, cat and 2 other classes"
