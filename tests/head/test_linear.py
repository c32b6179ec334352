"""Features to logits to probabilities."""

import numpy as np
import pytest

from fieldguide.head.linear import LinearHead, softmax

RNG = np.random.default_rng(0)
HEAD = LinearHead(RNG.normal(size=(3, 8)).astype(np.float32), RNG.normal(size=3).astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 8192, 20_001])  # rows go through in blocks of 8192
def test_logits_are_features_times_weights_plus_bias(count, dtype):
    features = RNG.normal(size=(count, 8)).astype(dtype)
    logits = HEAD.logits(features)
    assert logits.dtype == np.float32 and logits.shape == (count, 3)
    np.testing.assert_allclose(logits, features.astype(np.float64) @ HEAD.weight.T + HEAD.bias, atol=1e-5)


def test_probabilities_sum_to_one_and_keep_the_order_of_the_logits():
    features = RNG.normal(size=(50, 8)).astype(np.float16)
    probs = HEAD.probs(features)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert (probs.argsort(axis=1) == HEAD.logits(features).argsort(axis=1)).all()


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([1e30, 0, -1e30], [1, 0, 0]),
        ([-3e38, -3e38, -3e38], [1 / 3, 1 / 3, 1 / 3]),
        ([3e38, -3e38, 3e38], [0.5, 0, 0.5]),
        ([0, np.log(2), np.log(3)], [1 / 6, 2 / 6, 3 / 6]),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in subtract")  # to minus infinity, whose exp is 0
def test_softmax_is_safe_for_logits_of_any_size(logits, expected):
    np.testing.assert_allclose(softmax(np.array([logits], np.float32))[0], expected, atol=1e-6)
