"""Bootstrap intervals equal those of scikit-learn's metrics on the same resamples, and scipy's."""

import json

import numpy as np
import pytest
from evaluation_samples import by_scikit_learn, samples, scored
from hypothesis import given, settings
from loralab.evaluation import resampling
from loralab.evaluation.metrics import SCALARS, evaluate
from loralab.evaluation.resampling import bootstrap_intervals, percentile_interval
from loralab.randomness import stream_seed
from scipy import stats
from sklearn import metrics as sk

LABELS = ["ham", "spam", "other", "more"]


def intervals(probabilities, truth, seed=7, resamples=1000):
    labels = LABELS[: probabilities.shape[1]]
    found = bootstrap_intervals(probabilities, truth, labels, seed, resamples)
    assert json.dumps(found, allow_nan=False)
    return found


def drawn(n: int, seed: int, resamples: int) -> np.ndarray:
    generator = np.random.default_rng(stream_seed(seed, "evaluation/bootstrap"))
    return generator.integers(0, n, (resamples, n))


@pytest.mark.filterwarnings("ignore:.*y_true.*:UserWarning", "ignore:A single label:UserWarning")
@pytest.mark.parametrize("labels", [2, 3])
def test_intervals_are_quantiles_of_scikit_learns_metrics_of_each_resample(labels):
    probabilities, truth = scored(40, labels, 3, levels=20)
    resamples = drawn(40, seed=7, resamples=50)
    by_hand = [by_scikit_learn(probabilities[rows], truth[rows]) for rows in resamples]
    found = intervals(probabilities, truth, resamples=50)
    for name in by_hand[0]:
        expected = np.quantile([row[name] for row in by_hand], [0.025, 0.975])
        assert found["intervals"][name] == pytest.approx(expected, abs=1e-12), name


def test_the_interval_of_ece_is_that_of_the_same_resamples():
    probabilities, truth = scored(40, 2, 3)
    values = [
        evaluate(probabilities[rows], truth[rows], LABELS[:2])["ece"]
        for rows in drawn(40, seed=7, resamples=50)
    ]
    found = intervals(probabilities, truth, resamples=50)["intervals"]["ece"]
    assert found == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1e-12)


def test_intervals_are_scipys_but_for_the_luck_of_the_draw():
    probabilities, truth = scored(150, 2, 1)
    found = intervals(probabilities, truth, resamples=5000)["intervals"]
    statistics = {
        "accuracy": lambda rows: (probabilities[rows].argmax(axis=1) == truth[rows]).mean(),
        "f1": lambda rows: sk.f1_score(truth[rows], probabilities[rows].argmax(axis=1)),
        "brier": lambda rows: ((probabilities[rows, 1] - truth[rows]) ** 2).mean(),
    }
    for name, statistic in statistics.items():
        scipys = stats.bootstrap(
            (np.arange(150),),
            statistic,
            n_resamples=1000,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(0),
        )
        width = np.diff(found[name])[0]
        assert found[name] == pytest.approx(scipys.confidence_interval, abs=0.1 * width), name


def test_however_resamples_are_cut_into_blocks_the_intervals_are_the_same(monkeypatch):
    sample = scored(50, 3, 2)
    whole = intervals(*sample, resamples=100)
    monkeypatch.setattr(resampling, "CELLS", 333)
    assert intervals(*sample, resamples=100) == whole
    assert intervals(*sample, seed=8, resamples=100) != whole


@settings(max_examples=40)
@given(samples(least=0))
def test_any_split_gives_intervals_or_sentences(sample):
    probabilities, truth = sample
    found = intervals(probabilities, truth, resamples=100)
    assert set(found["intervals"]) == set(found["used"]) == set(SCALARS)
    own = evaluate(probabilities, truth, LABELS[: probabilities.shape[1]])
    for name, interval in found["intervals"].items():
        if interval is None:
            assert found["remarks"][name]
        elif name not in found["remarks"]:
            assert interval[0] <= own[name] <= interval[1]


def test_what_an_absent_label_leaves_undefined_has_no_interval_and_a_sentence():
    probabilities, _ = scored(20, 2, 1)
    found = intervals(probabilities, np.zeros(20, int))
    for name in ("roc_auc", "average_precision"):
        assert found["intervals"][name] is None
        assert found["used"][name] == 0
        assert found["remarks"][name] == "no message is labelled spam"
    assert found["intervals"]["accuracy"] is not None


def test_resamples_without_a_label_are_left_out_and_counted():
    probabilities, truth = scored(20, 2, 1)[0], np.array([1] + [0] * 19)
    without = int((drawn(20, seed=7, resamples=1000) != 0).all(axis=1).sum())
    assert 300 < without < 420  # (19/20)**20 of them
    found = intervals(probabilities, truth)
    assert found["used"]["roc_auc"] == 1000 - without
    assert found["remarks"]["roc_auc"] == (
        f"a label was absent from {without} of 1000 resamples, left out"
    )
    assert found["used"]["accuracy"] == 1000
    assert "accuracy" not in found["remarks"]


def test_all_right_is_said_to_say_nothing_of_other_messages():
    truth = np.array([0, 1] * 10)
    found = intervals(np.eye(2)[truth], truth)
    assert found["intervals"]["accuracy"] == [1.0, 1.0]
    assert "says nothing of messages not seen" in found["remarks"]["accuracy"]


def test_five_messages_all_predicted_alike_are_measured():
    found = intervals(np.full((5, 2), [0.7, 0.3]), np.array([0, 0, 1, 0, 1]))
    assert found["intervals"]["recall"] == [0.0, 0.0]
    assert found["intervals"]["roc_auc"] == [0.5, 0.5]
    assert found["intervals"]["mcc"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("n", "sentence"), [(0, "there are no messages"), (1, "one message cannot be resampled")]
)
def test_none_and_one_message_give_a_sentence(n, sentence):
    found = intervals(*scored(n, 2, 1))
    assert set(found["intervals"].values()) == {None}
    assert set(found["remarks"].values()) == {sentence}


def test_too_few_resamples_give_no_interval():
    assert percentile_interval(np.arange(39.0)) is None
    values = np.append(np.arange(41.0), [np.nan] * 5)
    assert percentile_interval(values) == [1.0, 39.0]
    found = intervals(*scored(20, 2, 1), resamples=39)
    assert found["remarks"]["f1"] == "39 of 39 resamples could be used, too few for an interval"


def test_an_interval_that_repeated_messages_alone_move_is_said_to_be_so():
    # In each of five tenths the gap is 0; in no resample is it so in all of them.
    confidence = np.repeat([0.55, 0.65, 0.75, 0.85, 0.95], 20)
    truth = np.concatenate([np.repeat([1, 0], [k, 20 - k]) for k in (11, 13, 15, 17, 19)])
    probabilities = np.stack([1 - confidence, confidence], axis=1)
    assert evaluate(probabilities, truth, LABELS[:2])["ece"] == pytest.approx(0, abs=1e-12)
    remark = intervals(probabilities, truth)["remarks"]["ece"]
    assert remark.startswith("the value lies outside its interval")
