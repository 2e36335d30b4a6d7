"""Intervals over seeds equal scipy's; the bootstrap has the spread that its factors have."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.evaluation.comparison import accuracy_difference, paired_permutation
from loralab.evaluation.seeds import accuracy_over_seeds, paired_over_seeds, seed_interval
from scipy import stats


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_interval_is_scipys_of_students_t(values):
    found = seed_interval(values)
    assert found["n"] == len(values)
    assert found["mean"] == pytest.approx(np.mean(values), abs=1e-12)
    assert found["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    if found["sd"] > 1e-9:
        scale = stats.sem(values)
        expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
        assert found["ci95"] == pytest.approx(expected, abs=1e-9)
        assert found["remark"] is None


def test_one_seed_none_and_equal_ones_give_a_sentence():
    one = {"n": 1, "mean": 0.9, "sd": None, "ci95": None, "remark": "one seed shows no spread"}
    assert seed_interval([0.9]) == one
    none = {"n": 0, "mean": None, "sd": None, "ci95": None, "remark": "there are no trainings"}
    assert seed_interval([]) == none
    same = seed_interval([0.5, 0.5, 0.5])
    assert (same["sd"], same["ci95"]) == (0.0, [0.5, 0.5])
    assert same["remark"] == "all 3 seeds gave the same value"


def right(seeds, n, share, seed=0, spread=0.0):
    """Whether trainings of about `share` accuracy are right: hard messages are hard for all."""
    generator = np.random.default_rng(seed)
    ease = generator.random(n) ** 2
    shift = generator.normal(scale=spread, size=(seeds, 1)) if spread else 0
    return generator.random((seeds, n)) < np.clip(share + 0.3 * (ease - 1 / 3) + shift, 0, 1)


# Two arms


def test_the_p_value_is_of_each_messages_accuracy_averaged_over_seeds():
    first, second = right(3, 80, 0.85), right(4, 80, 0.75, seed=1)
    found = paired_over_seeds(first, second, seed=1)
    assert json.dumps(found, allow_nan=False)
    assert found["remark"] is None
    averages = first.mean(axis=0), second.mean(axis=0)
    expected = stats.permutation_test(
        (averages[0] - averages[1],),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    assert found["difference"] == pytest.approx(expected.statistic)
    assert found["p_value"] == pytest.approx(expected.pvalue, rel=0.2, abs=0.002)
    same = paired_permutation(*averages, seed=1)
    assert (found["p_value"], found["exact"]) == (same["p_value"], same["exact"])


def test_of_few_messages_the_p_value_is_exact():
    first, second = right(3, 8, 0.9), right(3, 8, 0.5, seed=1)
    found = paired_over_seeds(first, second, seed=1)
    scipys = stats.permutation_test(
        (first.mean(axis=0), second.mean(axis=0)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert found["exact"]
    assert found["p_value"] == pytest.approx(scipys.pvalue)


def test_of_one_training_each_the_interval_is_that_over_messages():
    first, second = right(1, 400, 0.9), right(1, 400, 0.8, seed=1)
    found = paired_over_seeds(first, second, seed=1, resamples=20_000)
    expected = accuracy_difference(first[0], second[0], seed=2, resamples=20_000)
    width = expected["ci95"][1] - expected["ci95"][0]
    assert found["ci95"] == pytest.approx(expected["ci95"], abs=0.05 * width)
    assert found["remark"].startswith("an arm has one training")


def test_where_messages_are_alike_the_spread_is_that_of_one_fewer_seeds_than_there_are():
    # Each training is right on all or on none: the mean of 4 draws of 5 trainings, every one.
    accuracies = np.array([1, 1, 0, 1, 1.0])
    correct = np.repeat(accuracies[:, None] == 1, 30, axis=1)
    means = [np.mean(chosen) for chosen in product(accuracies, repeat=4)]
    assert np.var(means) == pytest.approx(np.var(accuracies, ddof=1) / 5)
    found = accuracy_over_seeds(correct, seed=1, resamples=5000)
    assert found["ci95_messages"] == list(np.quantile(means, [0.025, 0.975]))
    assert found["mean"] == 0.8
    assert found["ci95"] == seed_interval(list(accuracies))["ci95"]


def test_seeds_that_vary_widen_the_interval():
    steady = [right(5, 200, 0.8, seed=k) for k in (1, 2)]
    moody = [right(5, 200, 0.8, seed=k, spread=0.15) for k in (1, 2)]
    widths = [np.diff(paired_over_seeds(*arms, seed=1)["ci95"])[0] for arms in (steady, moody)]
    assert widths[1] > 1.5 * widths[0]


def test_messages_are_drawn_once_for_both_arms():
    # Messages easy or hard for both arms alike: their luck is shared and drops out.
    easy = np.arange(200) % 2 == 0
    first, second = np.tile(easy, (3, 1)), np.tile(easy, (4, 1))
    second[:, 0] = False
    found = paired_over_seeds(first, second, seed=1)
    assert found["difference"] == pytest.approx(1 / 200)
    assert 0 <= found["ci95"][0] <= found["ci95"][1] < 0.025
    one = accuracy_over_seeds(first, seed=1)["ci95_messages"]
    assert one[1] - one[0] > 0.1


def test_the_bootstrap_of_one_arm_is_a_plain_loops_but_for_the_luck_of_the_draw():
    correct = right(4, 60, 0.8, spread=0.1)
    generator, values = np.random.default_rng(0), []
    for _ in range(8000):
        chosen = correct[generator.integers(0, 4, 3)]
        values.append(chosen[:, generator.integers(0, 60, 60)].mean())
    low, high = np.quantile(values, [0.025, 0.975])
    found = accuracy_over_seeds(correct, seed=1, resamples=8000)["ci95_messages"]
    assert found == pytest.approx([low, high], abs=0.05 * (high - low))


def test_results_repeat_with_their_seed():
    arms = right(3, 50, 0.8), right(3, 50, 0.6, seed=1)
    assert paired_over_seeds(*arms, seed=1) == paired_over_seeds(*arms, seed=1)
    assert paired_over_seeds(*arms, seed=1) != paired_over_seeds(*arms, seed=2)


@pytest.mark.parametrize(
    ("shapes", "remark"),
    [
        (((0, 5), (2, 5)), "there are no messages or no trainings"),
        (((2, 0), (2, 0)), "there are no messages or no trainings"),
        (((2, 1), (2, 1)), "one message cannot be resampled"),
        (((1, 5), (2, 5)), "an arm has one training"),
        (((3, 5), (2, 5)), "no training differs from another on these 5 messages"),
    ],
)
def test_where_little_can_be_said_a_sentence_says_so(shapes, remark):
    first, second = (np.ones(shape, bool) for shape in shapes)
    found = paired_over_seeds(first, second, seed=1)
    assert json.dumps(found, allow_nan=False)
    assert found["remark"].startswith(remark)
    assert found["p_value"] in (None, 1.0)
    alone = accuracy_over_seeds(first, seed=1)
    assert json.dumps(alone, allow_nan=False)
    assert (alone["ci95_messages"] is None) == (len(first) == 0 or first.shape[1] < 2)


def test_one_training_that_differs_is_enough_for_the_interval_to_say_something():
    first = np.array([[True, True, True], [True, True, False]])
    found = paired_over_seeds(first, np.ones((2, 3), bool), seed=1)
    assert found["remark"] is None
    assert found["ci95"][0] < found["ci95"][1] == 0


def test_arms_measured_on_other_messages_are_refused():
    with pytest.raises(LoralabError, match="on 5 messages, the other on 6"):
        paired_over_seeds(np.ones((2, 5), bool), np.ones((2, 6), bool), seed=1)
