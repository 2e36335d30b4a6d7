"""The threshold is the one of most recall among those with few enough false alarms."""

import json

import numpy as np
import pytest
from evaluation_samples import scored
from hypothesis import given
from hypothesis import strategies as st
from loralab.evaluation.operating_point import (
    at_threshold,
    choose_threshold,
    highest_plausible_share,
    operating_point,
)
from statsmodels.stats.proportion import proportion_confint

LABELS = ["ham", "spam"]
RATES = st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.3, 1.0])


def shares(scores, truth, threshold):
    reached = scores >= threshold
    return reached[truth == 0].mean(), reached[truth == 1].mean()


@given(st.integers(2, 60), st.integers(0, 10**6), st.sampled_from([4, 10**6]), RATES)
def test_no_other_threshold_has_more_recall_and_few_enough_false_alarms(n, seed, levels, wanted):
    probabilities, truth = scored(n, 2, seed, levels)
    scores, truth = probabilities[:, 1], np.append([0, 1], truth[2:])
    found = choose_threshold(scores, truth, LABELS, wanted)
    tried = [shares(scores, truth, threshold) for threshold in np.unique(scores)]
    recalls = [recall for alarms, recall in tried if alarms <= wanted]
    if found.value is None:
        assert not recalls
        assert found.reason.startswith("no threshold is chosen: at any that a validation message")
    else:
        alarms, recall = shares(scores, truth, found.value)
        assert alarms <= wanted
        assert recall == max(recalls)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_bound_is_clopper_and_pearsons_of_statsmodels(n, share):
    count = round(share * n)
    expected = proportion_confint(count, n, alpha=0.1, method="beta")[1]
    assert highest_plausible_share(count, n) == pytest.approx(expected, abs=1e-12)


def test_of_no_messages_any_share_is_plausible():
    assert highest_plausible_share(0, 0) == 1.0


def test_the_bound_holds_though_the_threshold_was_chosen_on_the_same_messages():
    generator, held = np.random.default_rng(0), 0
    truth = np.array([0] * 60 + [1] * 60)
    for _ in range(1000):
        scores = np.concatenate([generator.random(60), generator.random(60) ** 0.3])
        threshold = choose_threshold(scores, truth, LABELS, 0.05).value
        alarms = int((scores[:60] >= threshold).sum())
        held += 1 - threshold <= highest_plausible_share(alarms, 60)
    assert held >= 930  # 950 but for luck


@pytest.mark.parametrize(
    ("ham", "alarms", "wanted", "sentence"),
    [
        (500, 0, 0.001, "too few to measure a rate of 0.1 %, which takes at least 1,000"),
        (999, 0, 0.001, "too few to measure a rate of 0.1 %, which takes at least 1,000"),
        (1000, 1, 0.001, "the threshold keeps to 0.1 % on these and does not promise it"),
        (100, 1, 0.01, "the threshold keeps to 1 % on these and does not promise it"),
        (100, 0, 0.0, "too few to measure a rate of 0 %"),
    ],
)
def test_what_validation_cannot_show_is_said(ham, alarms, wanted, sentence):
    scores = np.concatenate([np.linspace(0.01, 0.5, ham - alarms), [0.9] * alarms, [0.8] * 20])
    truth = np.repeat([0, 1], [ham, 20])
    found = choose_threshold(scores, truth, LABELS, wanted)
    assert found.reason.startswith(f"{alarms} of {ham} validation messages labelled ham are false")
    assert found.reason.endswith(sentence)


def test_where_validation_shows_the_rate_nothing_is_held_against_it():
    scores, truth = np.repeat([0.1, 0.9], [400, 1]), np.repeat([0, 1], [400, 1])
    found = choose_threshold(scores, truth, LABELS, 0.01)
    assert found.value == 0.9
    assert "fewer than 0.746 % of all" in found.reason  # 1 - 0.05 ** (1 / 400)
    assert found.reason.endswith("of all such messages are")
    nothing = choose_threshold(scores[-2:], truth[-2:], LABELS, 0.01)
    assert "fewer than 95 % of all such messages" in nothing.reason  # 1 - 0.05 ** (1 / 1)


def test_shares_on_test_have_wilsons_intervals():
    probabilities, truth = scored(300, 2, 3, levels=20)
    assert (probabilities[truth == 1, 1] == 0.7).any()  # these reach it
    found = at_threshold(probabilities[:, 1], truth, 0.7)
    alarms, recall = shares(probabilities[:, 1], truth, 0.7)
    for row, share in ((found["false_alarms"], alarms), (found["recall"], recall)):
        assert row["share"] == pytest.approx(share) == row["n"] / row["of"]
        expected = proportion_confint(row["n"], row["of"], method="wilson")
        assert row["ci95"] == pytest.approx(expected, abs=1e-12)
    assert found["false_alarms"]["of"] == (truth == 0).sum()


def test_the_threshold_is_from_validation_and_measured_on_test():
    validation, test, other = (scored(400, 2, seed) for seed in (1, 2, 3))
    found = operating_point(validation, test, LABELS, 0.02)
    assert json.dumps(found, allow_nan=False)
    assert found["threshold"] == operating_point(validation, other, LABELS, 0.02)["threshold"]
    assert found["validation"]["false_alarms"]["share"] <= 0.02
    expected = shares(test[0][:, 1], test[1], found["threshold"])
    assert found["test"]["false_alarms"]["share"] == pytest.approx(expected[0])
    assert found["test"]["recall"]["share"] == pytest.approx(expected[1])


def test_a_label_absent_from_test_leaves_its_share_unknown():
    nothing = np.zeros((0, 2)), np.zeros(0, int)
    found = operating_point(scored(50, 2, 1), nothing, LABELS, 0.1)["test"]
    unknown = {"n": 0, "of": 0, "share": None, "ci95": None}
    assert found == {"false_alarms": unknown, "recall": unknown}


FIVE = scored(5, 2, 1)[0]


@pytest.mark.parametrize(
    ("validation", "labels", "reason"),
    [
        ((None, None), LABELS, "there are no validation messages"),
        ((FIVE[:0], np.zeros(0, int)), LABELS, "there are no validation messages"),
        ((FIVE, np.zeros(5, int)), LABELS, "no validation message is labelled spam"),
        ((FIVE, np.ones(5, int)), LABELS, "no validation message is labelled ham"),
        (scored(30, 3, 1), ["a", "b", "c"], "one label of two, and there are 3"),
        ((np.full((5, 2), 0.5), np.array([0, 1, 0, 1, 1])), LABELS, "at least 2 of the 2 labelled"),
    ],
)
def test_where_no_threshold_can_be_chosen_a_sentence_says_why(validation, labels, reason):
    found = operating_point(validation, scored(20, len(labels), 2), labels, 0.01)
    assert json.dumps(found, allow_nan=False)
    assert reason in found["reason"]
    assert (found["threshold"], found["validation"], found["test"]) == (None, None, None)
