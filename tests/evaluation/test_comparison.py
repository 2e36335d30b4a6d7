"""Two systems on the same messages are told apart by those on which they disagree."""

import numpy as np
import pytest
from loralab.evaluation.comparison import mcnemar
from scipy.stats import binomtest


def disagreeing(only_first, only_second, both=5, neither=3):
    counts = (only_first, only_second, both, neither)
    first = np.repeat([True, False, True, False], counts)
    second = np.repeat([False, True, True, False], counts)
    return mcnemar(first, second)


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(1, 11), (17, 6), (37, 14), (4, 4), (0, 3)]
)
def test_the_p_value_is_that_of_an_exact_two_sided_binomial_test(only_first, only_second):
    found = disagreeing(only_first, only_second)
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert found["p_value"] == pytest.approx(expected, abs=1e-12)
    assert (found["only_first_right"], found["only_second_right"]) == (only_first, only_second)


def test_systems_that_never_disagree_are_not_told_apart():
    assert disagreeing(0, 0)["p_value"] == 1.0


def test_messages_on_which_both_agree_change_nothing():
    assert disagreeing(2, 9, both=0, neither=0) == disagreeing(2, 9, both=500, neither=40)
