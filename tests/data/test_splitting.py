"""Splits are stratified, disjoint and repeatable; the lab's protocol is pandas' own.

How groups of near-duplicates are split is in test_grouping.py.
"""

import os
from itertools import combinations, pairwise
from pathlib import Path

import pandas as pd
import pytest
from loralab.data.splitting import first_share, split_as_the_lab, split_by_class, split_by_group
from loralab.errors import LoralabError
from twins import forms_of, leaked

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
LABELS = ["ham", "spam"]


def messages(**counts):
    labels = [label for label, count in counts.items() for _ in range(count)]
    table = pd.DataFrame({"label": labels, "text": [f"text {n}" for n in range(len(labels))]})
    table = table.sample(frac=1, random_state=0).reset_index(drop=True)
    table.insert(0, "id", range(len(table)))
    return table


def count(table):
    return table["label"].value_counts().to_dict()


def ids(splits):
    return {name: list(table["id"]) for name, table in splits.tables.items()}


def test_every_class_is_split_by_the_same_fractions():
    tables = split_by_class(messages(ham=100, spam=30), LABELS, FRACTIONS, 1, False).tables
    assert count(tables["train"]) == {"ham": 70, "spam": 21}
    assert count(tables["validation"]) == {"ham": 10, "spam": 3}
    assert count(tables["test"]) == {"ham": 20, "spam": 6}


def test_splits_are_disjoint_and_together_hold_every_message():
    splits = split_by_class(messages(ham=47, spam=33), LABELS, FRACTIONS, 1, False)
    assert sorted(sum(ids(splits).values(), [])) == list(range(80))
    assert splits.balanced == 80


def test_undersampling_leaves_as_many_of_each_class_as_the_smallest_has():
    table = messages(ham=100, spam=30)
    splits = split_by_class(table, LABELS, FRACTIONS, 1, True)
    assert splits.balanced == 60
    kept = pd.concat(splits.tables.values())
    assert count(kept) == {"ham": 30, "spam": 30}
    assert kept["id"].is_unique
    assert set(kept["id"]) >= set(table[table["label"] == "spam"]["id"])


def test_rows_keep_the_order_of_the_file_and_their_content():
    table = messages(ham=50, spam=40)
    for part in split_by_class(table, LABELS, FRACTIONS, 1, True).tables.values():
        assert part["id"].is_monotonic_increasing
        pd.testing.assert_frame_equal(part, table.iloc[part["id"]].reset_index(drop=True))


def test_the_seed_alone_decides():
    table = messages(ham=100, spam=30)
    first, again, other = (split_by_class(table, LABELS, FRACTIONS, s, True) for s in (1, 1, 2))
    assert ids(first) == ids(again)
    assert ids(first)["test"] != ids(other)["test"]


def test_three_classes_are_split_and_balanced():
    table = messages(a=40, b=20, c=10)
    tables = split_by_class(table, ["a", "b", "c"], FRACTIONS, 1, True).tables
    assert count(tables["train"]) == {"a": 7, "b": 7, "c": 7}
    assert count(tables["validation"]) == {"a": 1, "b": 1, "c": 1}


def test_a_fraction_of_zero_makes_no_split():
    fractions = {"train": 0.8, "validation": 0, "test": 0.2}
    splits = split_by_class(messages(ham=10, spam=10), LABELS, fractions, 1, False)
    assert set(splits.tables) == {"train", "test"}


def test_too_few_messages_are_refused():
    with pytest.raises(
        LoralabError, match="'spam' has 2 messages, which leaves none for validation"
    ):
        split_by_class(messages(ham=50, spam=2), LABELS, FRACTIONS, 1, False)


def test_of_a_class_too_small_to_balance_with_the_small_one_is_named():
    with pytest.raises(LoralabError, match="class 'spam' has 1 messages") as caught:
        split_by_class(messages(ham=20, spam=1), LABELS, FRACTIONS, 1, True)
    assert "ham" not in str(caught.value)


# A share of train

SHARES = [0.001, 0.1, 0.2, 0.5, 0.75, 1.0]


def test_a_share_of_train_is_of_each_class_and_at_least_one_message():
    table = messages(ham=100, spam=30)
    found = [count(first_share(table, LABELS, share, 1)) for share in SHARES]
    sizes = [(1, 1), (10, 3), (20, 6), (50, 15), (75, 23), (100, 30)]
    assert found == [{"ham": ham, "spam": spam} for ham, spam in sizes]


def test_a_smaller_share_lies_within_a_larger_one_in_the_order_of_train():
    table = messages(ham=100, spam=30)
    parts = [list(first_share(table, LABELS, share, 1)["id"]) for share in SHARES]
    assert all(part == sorted(part) for part in parts)
    assert all(set(small) < set(large) for small, large in pairwise(parts))
    assert set(parts[1]) != set(first_share(table, LABELS, 0.1, 2)["id"])


def test_the_whole_of_train_is_train_in_its_order():
    train = split_as_the_lab(messages(ham=90, spam=33), LABELS, 1).tables["train"]
    pd.testing.assert_frame_equal(first_share(train, LABELS, 1.0, 1), train)


def test_a_share_of_a_train_that_lacks_a_class_is_of_the_others():
    assert count(first_share(messages(ham=10), LABELS, 0.5, 1)) == {"ham": 5}


# The lab's protocol


def split_in_plain_pandas(table, seed):
    """The published steps, written out again."""
    spam = table[table["label"] == "spam"]
    ham = table[table["label"] == "ham"].sample(n=spam.shape[0], random_state=seed)
    both = pd.concat([spam, ham], ignore_index=True)
    both = both.sample(frac=1, random_state=seed, ignore_index=True)
    size = int(len(both) * 0.8)
    return both.iloc[:size], both.iloc[size:]


@pytest.mark.parametrize("seed", [0, 123])
def test_lab_protocol_gives_the_messages_of_plain_pandas_in_their_order(seed):
    table = messages(ham=90, spam=33)
    splits = split_as_the_lab(table, LABELS, seed)
    train, test = split_in_plain_pandas(table, seed)
    assert ids(splits) == {"train": list(train["id"]), "test": list(test["id"])}
    assert (len(train), len(test)) == (52, 14)


def test_lab_protocol_needs_the_rarer_label_second():
    with pytest.raises(LoralabError, match="swap data.labels"):
        split_as_the_lab(messages(ham=3, spam=4), LABELS, 1)


# The real collection

MIRROR = os.environ.get("LORALAB_MIRROR", "")
needs_collection = pytest.mark.skipif(
    not (Path(MIRROR) / "SMSSpamCollection").is_file() or not MIRROR,
    reason="LORALAB_MIRROR names no folder that holds SMSSpamCollection",
)


@pytest.fixture
def collection(read):
    content = (Path(MIRROR) / "SMSSpamCollection").read_bytes()
    return lambda parser: read(content, parser=parser)


@needs_collection
def test_parser_lab_loses_two_messages_of_the_collection(collection):
    assert len(collection("strict")) == 5574
    assert len(collection("lab")) == 5572


@needs_collection
def test_lab_protocol_gives_the_labs_splits_and_leakage(collection):
    table = collection("lab")
    tables = split_as_the_lab(table, LABELS, 123).tables
    assert count(tables["train"]) == {"ham": 597, "spam": 598}
    assert count(tables["test"]) == {"ham": 150, "spam": 149}
    found = leaked(tables["train"]["text"], tables["test"]["text"])
    assert {name: twins["n"] for name, twins in found.items()} == {
        "exact": 33,
        "folded": 37,
        "masked": 48,
        "near": 80,
    }
    train, test = split_in_plain_pandas(table, 123)
    assert list(tables["train"]["id"]) == list(train["id"])
    assert list(tables["test"]["id"]) == list(test["id"])


@needs_collection
@pytest.mark.parametrize("undersample", [True, False])
def test_groups_of_the_collection_are_split_to_the_sizes_wanted_without_leakage(
    collection, undersample
):
    table = collection("strict")
    grouped = split_by_group(table, forms_of(table["text"]), LABELS, FRACTIONS, 123, undersample)
    stratified = split_by_class(table, LABELS, FRACTIONS, 123, undersample)
    assert {n: count(t) for n, t in grouped.tables.items()} == {
        n: count(t) for n, t in stratified.tables.items()
    }
    kept = [set(pd.concat(splits.tables.values())["id"]) for splits in (grouped, stratified)]
    assert kept[0] == kept[1]
    for one, other in combinations(grouped.tables.values(), 2):
        assert not any(found["n"] for found in leaked(one["text"], other["text"]).values())
