"""Whether probabilities are true."""

import numpy as np
import pytest

from fieldguide.evaluate import calibration
from fieldguide.evaluate.calibration import fit_temperature
from fieldguide.head import softmax


def answers(count: int, temperature: float, *, num_classes: int = 4, seed: int = 0):
    """Return probabilities that are too sure by a temperature, and labels drawn from the true ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, num_classes)).astype(np.float32) * 2
    true = softmax(logits)
    labels = (true.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return softmax(logits * np.float32(temperature)), labels


def test_the_error_is_the_weighted_distance_of_probability_and_truth():
    probs = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [0.4, 0.6], [0.55, 0.45]], np.float32)
    found = calibration(probs, np.array([0, 1, 1, 0, 0]))
    # Bins of a tenth: two of 0.95, of which one is right; 0.65 and 0.6, of which one is; 0.55, which is.
    assert [(b.count, b.top1) for b in found.bins] == [(1, 1.0), (2, 0.5), (2, 0.5)]
    np.testing.assert_allclose([b.probability for b in found.bins], [0.55, 0.625, 0.95], rtol=1e-6)
    assert found.error == pytest.approx((0.45 + 2 * 0.125 + 2 * 0.45) / 5)


def test_true_probabilities_err_by_chance_alone():
    for count in (100, 5000):
        found = [calibration(*answers(count, 1.0, seed=seed)) for seed in range(20)]
        assert np.mean([f.error for f in found]) == pytest.approx(
            np.mean([f.error_by_chance for f in found]), rel=0.2
        )
    assert found[0].error_by_chance < 0.02


def test_too_sure_answers_err_by_more():
    found = calibration(*answers(5000, 3.0))
    assert found.error > 5 * found.error_by_chance


def test_a_sure_and_right_classifier_does_not_err():
    found = calibration(np.eye(3, dtype=np.float32)[[0, 1, 2]], np.array([0, 1, 2]))
    assert (found.error, found.error_by_chance) == (0, 0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_probabilities_is_found(temperature):
    assert fit_temperature(*answers(20_000, temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize(("count", "most"), [(8, 0.92), (98, 0.992)])
def test_answers_that_were_all_right_are_no_certainty(count, most):
    labels = np.arange(count) % 2
    probs = np.where(np.eye(2)[labels] > 0, 0.8, 0.2).astype(np.float32)
    temperature = fit_temperature(probs, labels)
    sharpened = softmax((np.log(probs) / temperature).astype(np.float32)).max()
    assert 0.8 < sharpened < most and sharpened == pytest.approx(1 - 1 / (count + 2), abs=0.005)
