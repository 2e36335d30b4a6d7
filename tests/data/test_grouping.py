"""Groups of near-duplicates never straddle splits, whose sizes are as close as groups allow."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.data.grouping import assign_groups, group_messages
from loralab.data.splitting import split_by_class, split_by_group
from loralab.data.twin_forms import CRITERIA, masked
from loralab.errors import LoralabError
from rapidfuzz import fuzz
from twins import forms_of, leaked

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
LABELS = ["ham", "spam"]
WORDS = ["win", "cash", "now", "lunch", "tomorrow", "£50", "0800", "привет", ":)", "&amp;", "A"]


@st.composite
def texts(draw, most: int = 40) -> list[str]:
    """Texts of a few words, many with twins: exact ones, ones of other case, digits or letters."""
    some = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
    found = draw(st.lists(some, min_size=1, max_size=most))
    changes = [
        str,
        str.upper,
        lambda t: f" {t}  ",
        lambda t: t.replace("50", "99"),
        lambda t: t[:-1],
    ]
    for text in draw(st.lists(st.sampled_from(found), max_size=most)):
        found.append(draw(st.sampled_from(changes))(text))
    return draw(st.permutations(found))


def are_twins(one: str, other: str) -> bool:
    """By any criterion, asked of the two alone."""
    same = [form(one) == form(other) != "" for form in CRITERIA.values()]
    forms = masked(one), masked(other)
    return any(same) or (all(forms) and fuzz.ratio(*forms) >= 90)


# Groups


def groups_of(found: list[str]) -> np.ndarray:
    return group_messages(forms_of(found), np.arange(len(found)))


@given(texts(most=20))
def test_groups_are_the_chains_of_twins_among_all_pairs(found):
    numbers = list(range(len(found)))
    twins = [(i, j) for i, j in combinations(numbers, 2) if are_twins(found[i], found[j])]
    expected = list(numbers)
    for _ in numbers:
        for i, j in twins:
            expected[i] = expected[j] = min(expected[i], expected[j])
    groups = groups_of(found)
    assert groups.tolist() == pd.factorize(np.array(expected))[0].tolist()


def test_messages_of_which_masking_leaves_nothing_are_alike_by_what_they_are():
    found = groups_of(["Привет", ":)", "привет", ":(", ":)", "", ""])
    assert found.tolist() == [0, 1, 0, 2, 1, 3, 4]


def test_a_chain_of_twins_is_one_group_though_its_ends_are_no_twins():
    words = "the quick brown fox jumps over the lazy dog"
    chain = [words[n:] for n in range(0, 20, 4)]
    assert not are_twins(chain[0], chain[-1])
    assert groups_of([*chain, "lunch"]).tolist() == [0, 0, 0, 0, 0, 1]


# Splits

TARGETS = np.array([[70, 35], [10, 5], [20, 10]])  # (splits, labels)


def generator(seed=0):
    return np.random.default_rng(seed)


def of_one_label(sizes: list[int], label: int = 0) -> np.ndarray:
    counts = np.zeros((len(sizes), 2), dtype=int)
    counts[:, label] = sizes
    return counts


def sizes_of(splits, counts, n=3):
    return np.stack([counts[splits == i].sum(axis=0) for i in range(n)])


@st.composite
def sized_groups(draw) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of groups of one label, and how large three splits of them should be."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=3, max_size=30))
    total = sum(sizes)
    first = draw(st.integers(1, total - 2))
    second = draw(st.integers(1, total - first - 1))
    targets = np.zeros((3, 2), dtype=int)
    targets[:, 0] = [first, second, total - first - second]
    return of_one_label(sizes), targets


@given(sized_groups(), st.integers(0, 5))
def test_splits_differ_from_their_target_by_less_than_the_largest_group_or_twice(wanted, seed):
    counts, targets = wanted
    sizes = sizes_of(assign_groups(counts, targets, generator(seed)), counts)
    off = (targets - sizes)[:, 0]
    assert off.sum() == 0 and sizes.min(axis=0)[0] > 0
    assert -off.min() < max(counts[:, 0].max(), 1) and off.max() < 2 * counts[:, 0].max()


@given(st.lists(st.integers(1, 20), max_size=20), st.integers(0, 5))
def test_single_messages_fill_every_split_to_its_target(sizes, seed):
    counts = of_one_label(sizes + [1] * 60)
    total = int(counts.sum())
    targets = np.array([[total - 40, 0], [15, 0], [25, 0]])
    sizes = sizes_of(assign_groups(counts, targets, generator(seed)), counts)
    assert np.array_equal(sizes, targets)


def test_large_groups_go_to_every_split_in_proportion_to_its_size():
    counts = of_one_label([2] * 20 + [1] * 60)
    targets = np.array([[70, 0], [10, 0], [20, 0]])
    found = [assign_groups(counts, targets, generator(seed))[:20] for seed in range(200)]
    shares = np.bincount(np.concatenate(found), minlength=3) / 4000
    # Of 4000 draws a share of 0.7 has a standard deviation of 0.007.
    assert np.abs(shares - [0.7, 0.1, 0.2]).max() < 0.03


def test_a_group_too_large_for_any_split_goes_to_the_one_with_most_room():
    counts = of_one_label([80] + [1] * 20)
    splits = assign_groups(counts, TARGETS * [1, 0], generator())
    assert splits[0] == 0
    assert sizes_of(splits, counts)[1:, 0].min() >= 5


def test_few_groups_leave_no_split_without_one():
    for seed in range(20):
        counts = of_one_label([8, 8, 8, 8])
        targets = np.array([[22, 0], [3, 0], [7, 0]])
        sizes = sizes_of(assign_groups(counts, targets, generator(seed)), counts)
        assert sizes[:, 0].tolist() == [16, 8, 8]


def test_a_group_of_two_labels_goes_where_both_have_room():
    counts = np.array([[30, 6]] + [[1, 0]] * 70 + [[0, 1]] * 44)
    splits = assign_groups(counts, TARGETS, generator())
    assert splits[0] == 0  # only train has room for it
    assert np.array_equal(sizes_of(splits, counts), TARGETS)


# Splits of messages


def grouped(table, *settings):
    return split_by_group(table, forms_of(table["text"]), *settings)


def table_of(found: list[str], labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": range(len(found)), "label": labels, "text": found})


@st.composite
def messages(draw) -> pd.DataFrame:
    found = draw(texts())
    # Enough of each label that has no twin, or splitting would be refused.
    found += [f"{a}{b} " * 9 for a in "hklm" for b in "qrstu"] + ["lonely", "forever", "hmmmmm"]
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=len(found), max_size=len(found)))
    labels[-20:] = LABELS * 10
    return table_of(found, labels)


@given(messages(), st.booleans(), st.integers(0, 3))
def test_no_split_holds_a_twin_of_another_ones_message(table, undersample, seed):
    splits = grouped(table, LABELS, FRACTIONS, seed, undersample)
    assert sum(len(part) for part in splits.tables.values()) == splits.balanced
    assert all(set(part["label"]) == set(LABELS) for part in splits.tables.values())
    for one, other in combinations(splits.tables.values(), 2):
        assert not any(are_twins(a, b) for a in one["text"] for b in other["text"])
        assert not any(found["n"] for found in leaked(one["text"], other["text"]).values())


@given(messages(), st.booleans(), st.integers(0, 3))
def test_the_same_messages_are_kept_as_by_class_and_split_the_same_way_again(
    table, undersample, seed
):
    first, again, by_class = (
        split(table, LABELS, FRACTIONS, seed, undersample)
        for split in (grouped, grouped, split_by_class)
    )
    kept = [sorted(pd.concat(s.tables.values())["id"]) for s in (first, by_class)]
    assert kept[0] == kept[1]
    for name, part in first.tables.items():
        pd.testing.assert_frame_equal(part, again.tables[name])
        pd.testing.assert_frame_equal(part, table.iloc[part["id"]].reset_index(drop=True))
        assert part["id"].is_monotonic_increasing


def different_texts(n: int) -> list[str]:
    return [" ".join(np.random.default_rng(i).permutation(list("abcdefghijkl"))) for i in range(n)]


def test_messages_without_twins_are_split_to_the_sizes_of_the_stratified_split():
    table = table_of(different_texts(150), ["ham"] * 100 + ["spam"] * 50)
    by_group, by_class, other = (
        split(table, LABELS, FRACTIONS, seed, False).tables
        for split, seed in ((grouped, 1), (split_by_class, 1), (grouped, 2))
    )
    for name, part in by_group.items():
        assert part["label"].value_counts().equals(by_class[name]["label"].value_counts())
    assert set(by_group["test"]["id"]) != set(other["test"]["id"])


def test_a_fraction_of_zero_makes_no_split():
    table = table_of(different_texts(40), LABELS * 20)
    fractions = {"train": 0.8, "validation": 0, "test": 0.2}
    assert set(grouped(table, LABELS, fractions, 1, False).tables) == {"train", "test"}


def test_a_class_of_too_few_groups_is_refused_by_name():
    ham = different_texts(60)
    table = table_of(ham + ["win cash now"] * 30 + ["call"] * 5, ["ham"] * 60 + ["spam"] * 35)
    words = (
        "the 35 messages of class 'spam' fall into 2 groups of near-duplicates, which leaves none"
    )
    with pytest.raises(LoralabError, match=words) as caught:
        grouped(table, LABELS, FRACTIONS, 1, False)
    assert "'ham'" not in str(caught.value)


def test_a_class_of_too_few_messages_is_refused_as_by_class():
    table = table_of(different_texts(52), ["ham"] * 50 + ["spam"] * 2)
    with pytest.raises(LoralabError, match="'spam' has 2 messages, which leaves none for validat"):
        grouped(table, LABELS, FRACTIONS, 1, False)
