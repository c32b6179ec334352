"""Vectors of length 1."""

import torch
from torch.testing import assert_close

from fieldguide.layers import UnitLength


def test_every_vector_gets_length_1_and_keeps_its_direction():
    vectors = torch.tensor([[3.0, 4.0], [0.0, -0.5]])
    assert_close(UnitLength()(vectors), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))
    assert_close(UnitLength()(torch.randn(2, 5, 7)).norm(dim=-1), torch.ones(2, 5))


def test_a_vector_of_zeros_stays_as_it_is():
    assert_close(UnitLength()(torch.zeros(1, 3)), torch.zeros(1, 3))
