"""The baselines: what each knows, how it chooses, and the figures of the real collection."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.config import BASELINES
from loralab.data.messages import MessageFormat, read_messages
from loralab.data.splitting import split_as_the_lab
from loralab.errors import Diverged
from loralab.evaluation.baselines import (
    PENALTIES,
    SMOOTHINGS,
    Labelled,
    choose,
    fit_baseline,
    hold_out,
)

LABELS = ["ham", "spam"]
TEXTS = ["win a prize now", "claim your prize", "see you at lunch", "lunch at noon then"]
OF_TEXTS = ["majority", "tfidf_words", "tfidf_characters", "naive_bayes"]
LEARNERS = OF_TEXTS[1:]


def labelled(texts, labels) -> Labelled:
    return Labelled(np.array(texts, dtype=object), np.array(labels))


def test_majority_gives_every_text_the_shares_of_the_labels_in_train():
    predict, choice = fit_baseline("majority", labelled(TEXTS, [1, 1, 0, 1]), None, 3, seed=1)
    assert predict(TEXTS[:2]).tolist() == [[0.25, 0.75, 0.0]] * 2
    assert choice is None


@pytest.mark.parametrize("name", LEARNERS)
def test_words_that_were_shown_are_known_again(name):
    predict, _ = fit_baseline(name, labelled(TEXTS, [1, 1, 0, 0]), None, 2, seed=1)
    found = predict(["a prize", "at lunch"])
    assert found.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_character_n_grams_know_words_they_were_shown_in_part():
    predict, _ = fit_baseline("tfidf_characters", labelled(TEXTS, [1, 1, 0, 0]), None, 2, seed=1)
    assert predict(["prizes to win", "lunchtime"]).argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize("name", OF_TEXTS)
def test_a_label_that_train_lacks_keeps_its_column_and_gets_no_probability(name):
    predict, _ = fit_baseline(name, labelled(TEXTS, [2, 2, 0, 0]), None, 3, seed=1)
    found = predict(["a prize", "at lunch"])
    assert found.shape == (2, 3)
    assert found[:, 1].tolist() == [0.0, 0.0]


def test_frozen_features_are_told_apart_by_what_separates_them():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = generator.normal(size=(60, 5)) * [1, 100, 1, 1, 1]
    features[:, 2] += 3 * labels
    predict, choice = fit_baseline("frozen_features", Labelled(features, labels), None, 2, seed=1)
    assert (predict(features).argmax(axis=1) == labels).mean() > 0.9
    assert choice.setting == "C"


# The choice


def constant(value: float):
    """A classifier that gives label 1 the probability `value`, whatever the text."""
    return lambda texts: np.tile([1 - value, value], (len(texts), 1))


def test_the_lowest_log_loss_on_validation_decides_and_all_that_was_tried_is_told():
    train, validation = labelled(TEXTS, [1, 1, 1, 1]), labelled(TEXTS, [1, 0, 0, 0])
    values = (0.9, 0.3, 0.1)
    predict, choice = choose(
        lambda value, part: constant(value), "share", values, train, validation, seed=1
    )
    assert (choice.setting, choice.value) == ("share", 0.3)
    assert choice.messages == "validation"
    assert list(choice.tried) == [0.9, 0.3, 0.1]
    assert choice.tried[0.3] == pytest.approx(-(np.log(0.3) + 3 * np.log(0.7)) / 4)
    assert predict(TEXTS[:1]).tolist() == [[0.7, 0.3]]


def test_without_validation_a_tenth_of_train_decides_and_all_of_train_is_fitted_again():
    train = labelled([f"text {i}" for i in range(40)], [0, 1] * 20)
    sizes = []

    def fit(value, part):
        sizes.append(len(part.labels))
        return constant(value)

    _, choice = choose(fit, "share", (0.1, 0.5), train, None, seed=1)
    assert sizes == [36, 36, 40]
    assert choice.value == 0.5
    assert choice.messages.startswith("a tenth of train")


def test_a_value_with_which_training_diverges_is_the_worst_and_told_to_be():
    train, validation = labelled(TEXTS, [1, 1, 1, 1]), labelled(TEXTS, [1, 0, 0, 0])

    def fit(value, part):
        if value > 0.5:
            raise Diverged("training diverged at step 3")
        return constant(value)

    _, choice = choose(fit, "rate", (0.9, 0.3, 0.1), train, validation, seed=1)
    assert choice.value == 0.3
    assert choice.tried[0.9] is None
    with pytest.raises(Diverged, match="with every rate of 0.8, 0.9: training diverged at step 3"):
        choose(fit, "rate", (0.8, 0.9), train, validation, seed=1)


def test_where_nothing_can_be_held_out_train_itself_decides():
    train = labelled(TEXTS[:2], [1, 0])
    predict, choice = choose(
        lambda value, part: constant(value), "share", (0.9, 0.4), train, None, seed=1
    )
    assert choice.value == 0.4
    assert choice.messages.startswith("train itself")
    assert predict(TEXTS[:1]).tolist() == [[0.6, 0.4]]


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("messages", [1, 3])
def test_of_one_label_nothing_else_can_be_learnt(name, messages):
    train = labelled(TEXTS[:messages], [1] * messages)
    predict, _ = fit_baseline(name, train, None, 2, seed=1)
    assert predict(["see you"]).tolist() == [[0.0, 1.0]]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 9))
def test_what_is_held_out_and_what_is_left_are_train_and_no_class_is_lost(labels, seed):
    train = Labelled(np.arange(len(labels)), np.array(labels))
    left, held = hold_out(train, seed)
    assert sorted([*left.inputs, *held.inputs]) == list(range(len(labels)))
    assert set(left.labels) == set(labels)
    for label in set(labels):
        n = labels.count(label)
        assert (held.labels == label).sum() == (max(1, n // 10) if n > 1 else 0)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_a_baseline_tries_is_told(name):
    train = labelled(TEXTS * 5, [1, 1, 0, 0] * 5)
    _, choice = fit_baseline(name, train, labelled(TEXTS, [1, 1, 0, 0]), 2, seed=1)
    assert list(choice.tried) == list(SMOOTHINGS if name == "naive_bayes" else PENALTIES)


def test_every_baseline_has_a_stage():
    stages = Path(__file__).parents[2] / "workflow/loralab/stages"
    assert {p.stem for p in stages.glob("baseline_*.py")} - {"baseline_files"} == {
        f"baseline_{name}" for name in BASELINES
    }


# The real collection

MIRROR = os.environ.get("LORALAB_MIRROR", "")
COLLECTION = Path(MIRROR) / "SMSSpamCollection"


def real(table: pd.DataFrame) -> Labelled:
    return labelled(table["text"], (table["label"] == "spam").to_numpy(dtype=int))


@pytest.mark.skipif(
    not MIRROR or not COLLECTION.is_file(),
    reason="LORALAB_MIRROR names no folder that holds SMSSpamCollection",
)
def test_on_the_labs_split_n_grams_get_294_of_299_right_and_majority_149():
    columns = ["label", "text"]
    layout = MessageFormat("tsv", columns, "label", "text", LABELS, "utf-8", "lab")
    splits = split_as_the_lab(read_messages(COLLECTION, layout), LABELS, 123).tables
    train, test = real(splits["train"]), real(splits["test"])
    right = {}
    for name in ("majority", "tfidf_characters"):
        predict, _ = fit_baseline(name, train, None, 2, seed=123)
        right[name] = int((predict(test.inputs).argmax(axis=1) == test.labels).sum())
    assert right == {"majority": 149, "tfidf_characters": 294}
