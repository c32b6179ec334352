"""The head against scikit-learn's, at every size from two photos a class to a hundred thousand."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fieldguide.head.cross_validation import NUM_FOLDS, STRENGTHS
from fieldguide.head.logistic_regression import fit_head


def clusters(counts, *, width=40, spread=1.5, seed=0):
    """Features around one centre a class, float32 (N, width), and labels; ``counts`` photos a class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), width)) / spread
    return (centres[labels] + rng.normal(size=(len(labels), width)) + 3).astype(np.float32), labels


def digits():
    bunch = load_digits()
    return bunch.data.astype(np.float32), bunch.target.astype(np.int64)


def tumours():
    bunch = load_breast_cancer()
    return bunch.data.astype(np.float32), bunch.target.astype(np.int64)


PROBLEMS = {
    "two classes": tumours(),
    "ten classes": digits(),
    "uneven classes": clusters((300, 100, 30, 10)),
    "hundred classes": clusters((12,) * 100),
    "thousand classes, two photos each": clusters((2,) * 1000),
}


def reference_probs(features, labels, strength, *, balanced):
    """What scikit-learn's logistic regression says, solved with the same objective: a mean loss and a penalty.

    Its C stands at the sum of losses, so C = 1 / (strength * N). With two classes it has one vector of weights for
    our two, which are its half and its opposite half: the penalty counts half, so C is twice that.
    """
    c = (2 if labels.max() == 1 else 1) / (strength * len(labels))
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    model = LogisticRegression(C=c, tol=1e-5, max_iter=10_000, class_weight="balanced" if balanced else None)
    return model.fit(scaled, labels).predict_proba(scaled)


@pytest.mark.parametrize(
    ("problem", "balanced"),
    [*((name, False) for name in PROBLEMS), *((name, True) for name in PROBLEMS if "each" not in name)],
)
def test_the_head_is_scikit_learns_logistic_regression(problem, balanced):
    features, labels = PROBLEMS[problem]
    fitted = fit_head(features, labels, labels.max() + 1, balanced=balanced)
    expected = reference_probs(features, labels, fitted.choice.strength, balanced=balanced)
    found = fitted.head.probs(features)
    of_truth = np.arange(len(labels)), labels
    assert np.abs(found - expected).max() < 0.02
    assert np.abs(found[of_truth] - expected[of_truth]).mean() < 0.002
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.999


def test_balancing_finds_more_of_a_rare_class():
    features, labels = clusters((400, 20), spread=3.0)
    recalls = [
        (fit_head(features, labels, 2, balanced=b).head.probs(features).argmax(axis=1) == labels)[
            labels == 1
        ].mean()
        for b in (False, True)
    ]
    assert recalls[0] < recalls[1]


def test_the_strength_has_the_least_cross_validated_loss_and_scikit_learn_agrees_on_it():
    features, labels = clusters((40, 40, 40), spread=2.5)
    fitted = fit_head(features, labels, 3)
    best = min(fitted.choice.trials, key=lambda trial: trial.log_loss)
    assert fitted.choice.strength == best.strength and STRENGTHS[0] > best.strength > STRENGTHS[-1]
    c = 1 / (best.strength * len(labels))  # beside a sum of losses it is the same for two folds as for all three
    fold_of = (np.tile(np.arange(40), 3) + labels) % NUM_FOLDS  # dealt in turn within each class
    losses, hits = [], []
    for fold in range(NUM_FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        scaler = StandardScaler().fit(features[inside])
        model = LogisticRegression(C=c, tol=1e-8, max_iter=10_000)
        probs = model.fit(scaler.transform(features[inside]), labels[inside]).predict_proba(
            scaler.transform(features[outside])
        )
        losses += list(-np.log(probs[np.arange(outside.sum()), labels[outside]]))
        hits += list(probs.argmax(axis=1) == labels[outside])
    assert best.log_loss == pytest.approx(np.mean(losses), rel=0.02)
    assert best.top1 == pytest.approx(np.mean(hits), abs=0.02)


@pytest.mark.parametrize(
    ("per_class", "share"), [(30, 2 / 3), (20_000, 1 / 12)]
)  # two folds; two of 5,000 of 40,000
def test_what_is_best_for_some_photos_is_weakened_to_be_best_for_all(per_class, share):
    trials = fit_head(*clusters((per_class, per_class), width=4), 2).choice.trials
    np.testing.assert_allclose([t.strength for t in trials], np.array(STRENGTHS[: len(trials)]) * share, rtol=1e-3)


def test_the_walk_from_strong_to_weak_stops_when_it_has_got_worse_twice():
    features, labels = clusters((40, 40, 40), spread=4.0)
    losses = [trial.log_loss for trial in fit_head(features, labels, 3).choice.trials]
    assert len(losses) < len(STRENGTHS)
    assert losses[-3] < losses[-2] < losses[-1]


def test_a_set_too_large_to_cross_validate_whole_is_tried_on_some_of_every_class():
    features, labels = clusters((9000, 40, 3), width=8)
    fitted = fit_head(features, labels, 3)
    assert (fitted.head.probs(features).argmax(axis=1) == labels).mean() > 0.99
    assert fitted.choice.trials


@pytest.mark.parametrize("num_classes", [2, 5, 50])  # of a thousand, see above
def test_two_photos_a_class_are_enough(num_classes):
    features, labels = clusters((2,) * num_classes, spread=0.3)
    fitted = fit_head(features, labels, num_classes)
    assert fitted.choice.trials
    assert (fitted.head.probs(features).argmax(axis=1) == labels).all()


def test_one_photo_a_class_is_learnt_without_choosing_a_strength():
    features, labels = clusters((1, 1, 1))
    fitted = fit_head(features, labels, 3)
    assert fitted.choice.trials == () and fitted.choice.strength == 0.1
    assert (fitted.head.probs(features).argmax(axis=1) == labels).all()


def test_a_class_with_one_photo_among_larger_ones_is_learnt():
    features, labels = clusters((30, 1, 30), spread=0.5)
    fitted = fit_head(features, labels, 3)
    assert fitted.head.probs(features).argmax(axis=1)[labels == 1] == 1


@pytest.mark.parametrize("balanced", [False, True])
def test_a_class_without_photos_is_never_said(balanced):
    features, labels = clusters((30, 30))
    probs = fit_head(features, labels * 2, 3, balanced=balanced).head.probs(features)
    assert np.isfinite(probs).all() and not (probs.argmax(axis=1) == 1).any()


def test_constant_features_play_no_part():
    features, labels = clusters((30, 30, 30))
    constant = np.hstack([np.full((90, 1), 7, np.float32), features, np.zeros((90, 2), np.float32)])
    plain, padded = (fit_head(x, labels, 3) for x in (features, constant))
    np.testing.assert_allclose(padded.head.weight[:, [0, -2, -1]], 0, atol=1e-5)
    np.testing.assert_allclose(padded.head.probs(constant), plain.head.probs(features), atol=1e-3)


def test_nothing_but_constant_features_gives_the_shares_of_the_classes():
    probs = fit_head(np.ones((40, 5), np.float32), np.repeat([0, 1], [30, 10]), 2).head.probs(np.ones((1, 5)))
    np.testing.assert_allclose(probs[0], [0.75, 0.25], atol=1e-3)


def test_features_far_from_zero_lose_no_accuracy():
    features, labels = clusters((30, 30, 30))
    near, far = (fit_head(x, labels, 3).head.probs(x) for x in (features, features + np.float32(1000)))
    np.testing.assert_allclose(far, near, atol=0.01)


def test_float16_features_give_the_head_of_the_same_features_in_float32():
    features, labels = clusters((30, 30, 30))
    half = features.astype(np.float16)
    first, second = (fit_head(x, labels, 3) for x in (half, half.astype(np.float32)))
    np.testing.assert_array_equal(first.head.weight, second.head.weight)
    assert first.head.weight.dtype == first.head.bias.dtype == np.float32


def test_the_same_photos_give_the_same_bytes():
    features, labels = clusters((30, 30, 30))
    first, second = (fit_head(features, labels, 3).head for _ in range(2))
    assert first.weight.tobytes() == second.weight.tobytes() and first.bias.tobytes() == second.bias.tobytes()


def test_progress_ends_full_at_both_stages():
    calls = []
    fit_head(*clusters((20, 20)), 2, on_progress=lambda *call: calls.append(call))
    assert calls[-1] == ("head", 1, 1)
    assert [c for c in calls if c[0] == "strength"][-1] == ("strength", len(STRENGTHS), len(STRENGTHS))


@pytest.mark.parametrize(
    ("shape", "labels", "num_classes", "message"),
    [
        ((4, 2), [0, 0, 0, 0], 1, r"features \(4, 2\), labels \(4,\), 1 classes: no problem to fit"),
        ((4, 2), [0, 1, 0], 2, r"features \(4, 2\), labels \(3,\), 2 classes: no problem to fit"),
        ((0, 2), [], 2, r"features \(0, 2\), labels \(0,\), 2 classes: no problem to fit"),
        ((2, 2), [0, 2], 2, r"labels go from 0 to 2; expected 0 to 1"),
        ((2, 2), [-1, 1], 2, r"labels go from -1 to 1; expected 0 to 1"),
    ],
)
def test_what_is_no_problem_to_fit_is_refused(shape, labels, num_classes, message):
    with pytest.raises(ValueError, match=message):
        fit_head(np.zeros(shape, np.float32), np.array(labels, np.int64), num_classes)


PEAK_OF_A_FIT = """
import re, sys
from pathlib import Path
import numpy as np
from fieldguide.head.logistic_regression import fit_head

num_photos, num_classes = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
labels = np.arange(num_photos) % num_classes
centres = rng.normal(size=(num_classes, 1280)).astype(np.float32) / 8
features = np.empty((num_photos, 1280), np.float16)
for start in range(0, num_photos, 4096):
    rows = labels[start : start + 4096]
    features[start : start + 4096] = centres[rows] + rng.standard_normal((len(rows), 1280), np.float32)
head = fit_head(features, labels, num_classes).head
assert (head.probs(features[:4000]).argmax(axis=1) == labels[:4000]).mean() > 0.8
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("num_photos", "num_classes"),
    [(100_000, 5), pytest.param(100_000, 1000, marks=pytest.mark.slow)],  # 9 s; 5 to 9 minutes, 1.4 GB
)
def test_a_hundred_thousand_photos_stay_within_3_gb(num_photos, num_classes):
    command = [sys.executable, "-c", PEAK_OF_A_FIT, str(num_photos), str(num_classes)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 3
