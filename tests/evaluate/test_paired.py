"""The paired test: exact, two-sided, and deaf to photos on which two classifiers agree."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fieldguide.evaluate.paired import holm, paired_test


def answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Which photos two classifiers have right, from how many both, one alone, and neither have."""
    one = np.repeat([True, True, False, False], [both, first, second, neither])
    other = np.repeat([True, False, True, False], [both, first, second, neither])
    return one, other


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 2), (16, 10), (3, 20), (400, 300)])
def test_it_is_the_binomial_test_of_what_one_alone_has_right(first, second):
    found = paired_test(*answers(50, first, second, 7))
    assert (found.num_photos, found.only_first, found.only_second) == (57 + first + second, first, second)
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-12)


def test_photos_on_which_they_agree_tell_nothing():
    few, many = paired_test(*answers(3, 9, 2, 1)), paired_test(*answers(3000, 9, 2, 1000))
    assert few.p_value == many.p_value


@pytest.mark.parametrize(
    ("first", "second", "better"), [(6, 0, 0), (0, 6, 1), (5, 0, None), (10, 2, 0), (9, 2, None), (0, 0, None)]
)
def test_a_lead_counts_where_chance_seldom_makes_it(first, second, better):
    assert paired_test(*answers(20, first, second, 20)).better() == better


def test_of_several_pairs_a_lead_must_be_the_greater():
    alone, close, none = (paired_test(*answers(20, first, 0, 20)) for first in (8, 6, 3))
    assert holm([alone]) == [0] and holm([close]) == [0]
    assert holm([none, alone, close]) == [None, 0, None], "0.008 < 0.05 / 3, but 0.031 > 0.05 / 2"
    assert holm([close, close]) == [None, None] and holm([]) == []


def test_answers_to_other_photos_are_refused():
    with pytest.raises(
        ValueError, match=r"\(3,\) and \(4,\) answers; a paired test takes two to each of N photos"
    ):
        paired_test(np.ones(3, bool), np.ones(4, bool))
