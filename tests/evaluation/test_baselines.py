"""The baselines: the shares of the labels, and character n-grams that reach the lab's figure."""

import os
from pathlib import Path

import numpy as np
import pytest
from loralab.data.messages import MessageFormat, read_messages
from loralab.data.splitting import split_as_the_lab
from loralab.evaluation.baselines import majority, tfidf

LABELS = ["ham", "spam"]
TEXTS = ["win a prize now", "claim your prize", "see you at lunch", "lunch at noon then"]


def test_majority_gives_every_text_the_shares_of_the_labels_in_train():
    found = majority(np.array([1, 1, 0, 1]), labels=3, n=2)
    assert found.tolist() == [[0.25, 0.75, 0.0]] * 2


def test_character_n_grams_know_words_they_were_shown_in_part():
    found = tfidf(TEXTS, np.array([1, 1, 0, 0]), 2, ["prizes to win", "lunchtime"])
    assert found.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_a_label_that_train_lacks_keeps_its_column_and_gets_no_probability():
    found = tfidf(TEXTS, np.array([2, 2, 0, 0]), 3, ["prizes to win", "lunchtime"])
    assert found.shape == (2, 3)
    assert found[:, 1].tolist() == [0.0, 0.0]
    assert found.argmax(axis=1).tolist() == [2, 0]


# The real collection

MIRROR = os.environ.get("LORALAB_MIRROR", "")
COLLECTION = Path(MIRROR) / "SMSSpamCollection"


@pytest.mark.skipif(
    not MIRROR or not COLLECTION.is_file(),
    reason="LORALAB_MIRROR names no folder that holds SMSSpamCollection",
)
def test_on_the_labs_split_n_grams_get_293_of_299_right_and_majority_149():
    columns = ["label", "text"]
    layout = MessageFormat("tsv", columns, "label", "text", LABELS, "utf-8", "lab")
    splits = split_as_the_lab(read_messages(COLLECTION, layout), LABELS, 123).tables
    train, test = splits["train"], splits["test"]
    train_labels, truth = ((t["label"] == "spam").to_numpy(dtype=int) for t in (train, test))
    found = tfidf(list(train["text"]), train_labels, 2, list(test["text"]))
    assert (len(truth), int((found.argmax(axis=1) == truth).sum())) == (299, 293)
    guessed = majority(train_labels, 2, len(truth))
    assert int((guessed.argmax(axis=1) == truth).sum()) == 149
