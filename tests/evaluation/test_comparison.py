"""Two systems on the same messages are told apart by those on which they disagree."""

import json

import numpy as np
import pytest
from evaluation_samples import scored
from hypothesis import given, settings
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.evaluation import comparison
from loralab.evaluation.comparison import (
    accuracy_difference,
    compare,
    compare_all,
    holm,
    mcnemar,
    paired_permutation,
    permutation_of_f1,
)
from loralab.evaluation.metrics import evaluate
from scipy import stats
from scipy.stats import binomtest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

LABELS = ["ham", "spam", "other"]


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


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_statsmodels(only_first, only_second):
    found = disagreeing(only_first, only_second)["p_value"]
    table = [[5, only_first], [only_second, 3]]
    assert found == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=1e-12)


def test_mcnemar_of_very_many_messages_stays_exact_and_quick():
    found = disagreeing(10_000, 10_400)
    assert found["p_value"] == pytest.approx(binomtest(10_000, 20_400).pvalue, abs=1e-12)


# Permutation

few_scores = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=8)


def scipys_permutation(first, second, statistic, resamples=np.inf):
    return stats.permutation_test(
        (first, second),
        statistic,
        permutation_type="samples",
        vectorized=False,
        n_resamples=resamples,
        rng=np.random.default_rng(0),
    )


@settings(max_examples=40)
@given(few_scores)
def test_of_few_messages_every_exchange_is_looked_at_as_by_scipy(pairs):
    first, second = np.array(pairs).T / 8
    found = paired_permutation(first, second, seed=1)
    expected = scipys_permutation(first, second, lambda a, b: a.mean() - b.mean())
    assert found["exact"]
    assert found["p_value"] == pytest.approx(expected.pvalue, abs=1e-12)
    assert found["difference"] == pytest.approx(expected.statistic)


def test_sums_that_differ_by_rounding_alone_are_ties():
    # |.1 + .2 - .3| is 0 but for rounding, and so is as far out as +.1 +.2 -.3 and -.1 -.2 +.3.
    found = paired_permutation(np.array([0.1, 0.2, 0.0]), np.array([0.0, 0.0, 0.3]), seed=1)
    assert found["p_value"] == 1.0
    tenths = np.array([0.1, 0.2, 0.3])  # sums 6, 4, 2, 0, 0, -2, -4, -6 tenths
    first, second = np.where([1, 1, 0], tenths, 0), np.where([1, 1, 0], 0, tenths)
    assert paired_permutation(first, second + [0, 0, -0.6], seed=1)["p_value"] == 2 / 8


def test_of_many_messages_drawn_exchanges_give_scipys_p_value():
    generator = np.random.default_rng(0)
    first, second = generator.normal(0.18, 1, 100), generator.normal(0, 1, 100)
    found = paired_permutation(first, second, seed=1, permutations=40_000)
    differences = first - second
    expected = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=40_000,
        rng=np.random.default_rng(0),
    )
    assert 0.01 < expected.pvalue < 0.5
    assert found["p_value"] == pytest.approx(expected.pvalue, rel=0.2)
    assert (found["exact"], found["permutations"]) == (False, 40_000)


def test_a_drawn_p_value_is_never_0_and_repeats_with_its_seed():
    first, second = np.ones(60), np.zeros(60)
    assert paired_permutation(first, second, 1, 999)["p_value"] == 1 / 1000
    noisy = np.random.default_rng(0).normal(size=60)
    found = [paired_permutation(noisy, second, seed)["p_value"] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_however_exchanges_are_cut_into_blocks_the_p_value_is_the_same(monkeypatch):
    noisy, nothing = np.random.default_rng(0).normal(size=60), np.zeros(60)
    whole = paired_permutation(noisy, nothing, 1)
    monkeypatch.setattr(comparison, "CELLS", 60 * 700)
    assert paired_permutation(noisy, nothing, 1) == whole


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 5))
def test_of_correctness_the_permutation_test_is_mcnemars(only_first, only_second, both):
    counts = (only_first, only_second, both)
    first, second = np.repeat([True, False, True], counts), np.repeat([False, True, True], counts)
    found = paired_permutation(first, second, seed=1)
    assert found["p_value"] == pytest.approx(mcnemar(first, second)["p_value"], abs=1e-12)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("case", range(6))
def test_the_permutation_test_of_f1_is_scipys_with_scikit_learns_f1(labels, case):
    generator = np.random.default_rng(case)
    truth, first, second = generator.integers(0, labels, (3, 7))
    if labels == 2:
        how = {"average": "binary", "zero_division": 0.0}
    else:
        how = {"average": "macro", "labels": range(labels), "zero_division": 0.0}

    def statistic(ours, theirs):
        return sk.f1_score(truth, ours, **how) - sk.f1_score(truth, theirs, **how)

    found = permutation_of_f1(first, second, truth, LABELS[:labels], seed=1)
    expected = scipys_permutation(first, second, statistic)
    assert found["difference"] == pytest.approx(expected.statistic, abs=1e-12)
    assert found["p_value"] == pytest.approx(expected.pvalue, abs=1e-12)


def test_drawn_exchanges_of_f1_give_about_the_p_value_of_all(monkeypatch):
    truth, first, second = np.random.default_rng(4).integers(0, 3, (3, 18))
    assert (first != second).sum() <= 14
    whole = permutation_of_f1(first, second, truth, LABELS, seed=1)
    monkeypatch.setattr(comparison, "ENUMERATED", 0)
    some = permutation_of_f1(first, second, truth, LABELS, seed=1)
    assert (whole["exact"], some["exact"]) == (True, False)
    assert some["p_value"] == pytest.approx(whole["p_value"], abs=0.02)


# Several at once


@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert holm(p_values) == pytest.approx(list(expected), abs=1e-12)


# Bootstrap of the difference


def test_the_interval_of_a_difference_is_scipys_but_for_the_luck_of_the_draw():
    generator = np.random.default_rng(0)
    first, second = generator.random(300) < 0.9, generator.random(300) < 0.8
    found = accuracy_difference(first, second, seed=1, resamples=20_000)
    expected = stats.bootstrap(
        (first.astype(float), second.astype(float)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found["ci95"] == pytest.approx(expected, abs=0.1 * (expected[1] - expected[0]))
    assert found["difference"] == pytest.approx(first.mean() - second.mean())


# Systems


def systems(n=120, labels=2):
    truth = scored(n, labels, 5)[1]
    found = {}
    for name, pull in (("good", 3.0), ("fair", 1.5), ("poor", 0.5)):
        probabilities, own = scored(n, labels, 5, pull=pull)
        assert (own == truth).all()
        found[name] = probabilities
    return found, truth


@pytest.mark.parametrize("labels", [2, 3])
def test_all_pairs_are_compared_in_order_and_holms_p_values_are_of_mcnemars(labels):
    known, truth = systems(labels=labels)
    rows = compare_all(known, truth, LABELS[:labels], seed=1)
    assert json.dumps(rows, allow_nan=False)
    pairs = [("good", "fair"), ("good", "poor"), ("fair", "poor")]
    assert [(row["first"], row["second"]) for row in rows] == pairs
    p_values = [row["mcnemar"]["p_value"] for row in rows]
    expected = multipletests(p_values, method="holm")[1]
    assert [row["p_holm"] for row in rows] == pytest.approx(list(expected))
    for row in rows:
        own, other = (
            evaluate(known[row[side]], truth, LABELS[:labels]) for side in ("first", "second")
        )
        assert row["difference"] == pytest.approx(own["accuracy"] - other["accuracy"])
        assert row["ci95"][0] <= row["difference"] <= row["ci95"][1]
        for name, found in row["permutation"].items():
            assert found["difference"] == pytest.approx(own[name] - other[name])


def test_only_the_pairs_asked_for_are_compared_and_adjusted():
    known, truth = systems()
    (row,) = compare_all(known, truth, LABELS[:2], seed=1, pairs=[("poor", "good")])
    assert (row["first"], row["second"]) == ("poor", "good")
    assert row["difference"] < 0
    assert row["p_holm"] == row["mcnemar"]["p_value"]
    assert compare_all(known, truth, LABELS[:2], seed=1, pairs=[]) == []
    assert compare_all({"one": known["good"]}, truth, LABELS[:2], seed=1) == []


def test_a_pair_that_names_no_system_is_refused():
    known, truth = systems()
    with pytest.raises(LoralabError, match="no system is called best: compare two of good, fair"):
        compare_all(known, truth, LABELS[:2], seed=1, pairs=[("good", "best")])


def test_systems_on_other_messages_are_refused():
    known, truth = systems()
    cut = known["good"][:-1]
    with pytest.raises(LoralabError, match="on 119 messages, the other on 120"):
        compare(cut, known["fair"], truth, LABELS[:2], seed=1)
    with pytest.raises(LoralabError, match="on 119 messages, the other on 120"):
        compare(known["fair"], cut, truth, LABELS[:2], seed=1)
    for test in (mcnemar, lambda a, b: accuracy_difference(a, b, 1)):
        with pytest.raises(LoralabError, match="on 3 messages, the other on 2"):
            test(np.ones(3, bool), np.ones(2, bool))


@pytest.mark.parametrize(
    ("n", "remark"),
    [
        (0, "there are no messages"),
        (1, "one message cannot be resampled"),
        (5, "the systems never disagree on these 5 messages"),
    ],
)
def test_none_one_and_five_messages_alike_give_a_sentence(n, remark):
    probabilities, truth = scored(n, 2, 1)
    found = compare(probabilities, probabilities, truth, LABELS[:2], seed=1)
    assert json.dumps(found, allow_nan=False)
    assert found["remark"] == remark
    assert found["difference"] == (0.0 if n else None)
    assert found["ci95"] == ([0.0, 0.0] if n == 5 else None)
    tests = [found["mcnemar"], *found["permutation"].values()]
    assert [test["p_value"] for test in tests] == [1.0, 1.0, 1.0]
