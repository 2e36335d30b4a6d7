"""Answers counted, and the change of answers tested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.evaluation.robustness import answers_by_label, before_and_after
from scipy.stats import binomtest

LABELS = ["ham", "spam", "other"]
ANSWERS = st.lists(st.tuples(*3 * [st.integers(0, 2)]), max_size=40)


def array(*values):
    return np.array(values, dtype=np.int64)


def test_right_answers_are_counted_label_by_label():
    found = answers_by_label(array(0, 0, 1, 1, 1), array(0, 1, 1, 2, 1), LABELS)
    assert found["right"] == 3
    assert found["right_by_label"] == {"ham": 1, "spam": 2}
    low, high = binomtest(3, 5).proportion_ci(method="wilson")
    assert found["accuracy_ci95"] == pytest.approx([low, high], abs=1e-7)


def test_no_text_gives_no_answer_and_an_interval_that_says_nothing():
    found = before_and_after(array(), array(), array(), LABELS)
    nothing = {"right": 0, "accuracy_ci95": [0.0, 1.0], "right_by_label": {}}
    assert found["before"] == found["after"] == nothing
    assert (found["turned_wrong"], found["turned_right"], found["p_value"]) == (0, 0, 1.0)


def test_a_change_that_turns_answers_is_told_by_those_it_turned():
    truth, before = array(*9 * [1]), array(*8 * [1], 0)
    found = before_and_after(truth, before, array(*8 * [0], 1), LABELS)
    assert (found["before"]["right"], found["after"]["right"]) == (8, 1)
    assert (found["turned_wrong"], found["turned_right"]) == (8, 1)
    assert found["p_value"] == pytest.approx(binomtest(1, 9).pvalue)


@given(ANSWERS)
def test_what_turned_accounts_for_the_change_whatever_was_answered(rows):
    truth, before, after = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    found = before_and_after(truth, before, after, LABELS)
    change = found["after"]["right"] - found["before"]["right"]
    assert change == found["turned_right"] - found["turned_wrong"]
    assert found["before"]["right"] == sum(found["before"]["right_by_label"].values())
    turned = found["turned_right"] + found["turned_wrong"]
    expected = binomtest(found["turned_right"], turned).pvalue if turned else 1.0
    assert found["p_value"] == pytest.approx(expected)
