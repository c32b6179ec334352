"""The order of photos: every one once an epoch, batches across epochs, and nothing but the seed and the step."""

import numpy as np
import pytest

from fieldguide.training.order import Order


def labels_of(*counts):
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(("num_photos", "batch_size"), [(12, 4), (10, 4), (7, 3), (5, 5), (9, 1)])
def test_every_photo_comes_once_an_epoch_and_batches_run_across_epochs(num_photos, batch_size):
    order = Order(labels_of(num_photos), batch_size, seed=3)
    batches = [order.batch(step) for step in range(3 * num_photos)]  # so many that they end with an epoch
    assert all(len(batch) == batch_size for batch in batches)
    epochs = np.concatenate(batches).reshape(-1, num_photos)
    assert len(epochs) == 3 * batch_size
    assert (np.sort(epochs, axis=1) == np.arange(num_photos)).all()
    assert num_photos < 9 or len({tuple(epoch) for epoch in epochs.tolist()}) == len(epochs), "in a new order each"


def test_a_batch_depends_on_nothing_but_the_seed_and_the_step():
    labels = labels_of(6, 5)
    forwards = [Order(labels, 4, seed=1).batch(step).tolist() for step in range(20)]
    one = Order(labels, 4, seed=1)
    shuffled = np.random.default_rng(0).permutation(20).tolist()
    by_step = {step: one.batch(step).tolist() for step in shuffled}
    assert [by_step[step] for step in range(20)] == forwards
    state = np.random.get_state()[1].tolist()
    assert [Order(labels, 4, seed=2).batch(step).tolist() for step in range(20)] != forwards
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize("batch_size", [4, 5])
def test_orders_of_epochs_long_past_are_let_go(batch_size):
    order = Order(labels_of(20), batch_size, seed=0)
    for step in range(100):
        order.batch(step)
    assert len(order._epochs) <= 2


def test_a_batch_larger_than_the_set_spans_several_epochs():
    batch = Order(labels_of(3), 8, seed=0).batch(1)
    assert len(batch) == 8 and np.bincount(batch).tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_sampling_shows_every_class_equally_often():
    labels = labels_of(900, 90, 10)
    order = Order(labels, 50, seed=0, balance="sampling")
    seen = np.concatenate([order.batch(step) for step in range(60)])  # three epochs
    shares = np.bincount(labels[seen], minlength=3) / len(seen)
    assert np.abs(shares - 1 / 3).max() < 0.03
    assert (np.bincount(seen[labels[seen] == 2]) > 20).any(), "photos of a rare class come again and again"
    again = Order(labels, 50, seed=0, balance="sampling")
    assert (again.batch(59) == order.batch(59)).all()


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_without_sampling_photos_come_as_often_as_there_are(balance):
    labels = labels_of(90, 10)
    seen = np.concatenate([Order(labels, 20, 0, balance).batch(step) for step in range(5)])
    assert np.bincount(labels[seen]).tolist() == [90, 10]


@pytest.mark.parametrize(("epochs", "steps"), [(1, 2), (2, 5), (0.5, 1), (0.01, 1), (1.5, 4)])
def test_steps_in_so_many_epochs(epochs, steps):
    assert Order(labels_of(10), 4, seed=0).steps_in(epochs) == steps
