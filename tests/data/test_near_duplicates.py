"""The blocks and bounds of near-duplicates lose nothing that comparing all pairs would find."""

import tracemalloc
from contextlib import contextmanager
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.data import near_duplicates
from loralab.data.near_duplicates import has_near, merged, near_components
from rapidfuzz import fuzz
from twins import on_disk


def variants(draw, text: str, alphabet: str) -> list[str]:
    """The text after some more edits, each time a few: pairs lie on both sides of 90."""
    found = [text]
    for _ in range(draw(st.integers(0, 4))):
        for _ in range(draw(st.integers(0, 3))):
            place = draw(st.integers(0, len(text)))
            kept = place + draw(st.integers(0, 1))
            text = text[:place] + draw(st.sampled_from(["", *alphabet])) + text[kept:]
        found.append(text)
    return found


@st.composite
def corpora(draw, alphabet: str = "ab c") -> list[str]:
    letters = st.text(alphabet, max_size=45)
    return [
        v for text in draw(st.lists(letters, max_size=6)) for v in variants(draw, text, alphabet)
    ]


def near_pairs(texts, others):
    return [
        (i, j) for i, a in enumerate(texts) for j, b in enumerate(others) if fuzz.ratio(a, b) >= 90
    ]


def chained(n, pairs):
    """For each number the lowest that pairs lead to, by going from neighbour to neighbour."""
    lowest = list(range(n))
    for _ in range(n):
        for i, j in pairs:
            lowest[i] = lowest[j] = min(lowest[i], lowest[j])
    return lowest


def same_partition(labels, expected):
    return len(set(zip(labels, expected, strict=True))) == len(set(labels)) == len(set(expected))


# Rows and columns of a block: of the size in use, and so small that there are many.
each_size = pytest.mark.parametrize("rows_columns", [(128, 2048), (2, 3)])


@contextmanager
def blocks_of(rows, columns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "ROWS", rows)
        patch.setattr(near_duplicates, "COLUMNS", columns)
        yield


@each_size
@given(st.one_of(corpora(), corpora("aA!é€😀\ud800 ")))
def test_components_are_those_of_comparing_all_pairs(rows_columns, texts):
    expected = chained(len(texts), near_pairs(texts, texts))
    with blocks_of(*rows_columns):
        assert same_partition(near_components(on_disk(texts)).tolist(), expected)


@each_size
@given(corpora(), st.data())
def test_a_text_has_a_near_one_exactly_where_one_of_all_pairs_reaches_90(rows_columns, texts, data):
    others = data.draw(st.permutations(texts))[: len(texts) // 2] + data.draw(corpora())
    expected = {i for i, _ in near_pairs(texts, others)}
    with blocks_of(*rows_columns):
        assert set(np.flatnonzero(has_near(on_disk(texts), on_disk(others))).tolist()) == expected


@given(st.integers(1, 300), st.integers(0, 60), st.integers(0, 60))
def test_no_bound_is_tighter_than_the_ratio_itself(common, more, other):
    """Texts whose common subsequence is as long as their letters allow: the bounds are met."""
    pair = ["a" * common + "b" * more, "a" * common + "c" * other]
    near = 200 * common >= 90 * (2 * common + more + other)
    assert (fuzz.ratio(*pair) >= 90) == near
    assert (len(set(near_components(on_disk(pair)).tolist())) == 1) == near
    assert has_near(on_disk(pair[:1]), on_disk(pair[1:])).tolist() == [near]


def test_every_length_next_to_the_bound_is_decided_as_by_all_pairs():
    texts = ["a" * n for n in range(1, 200)]
    expected = chained(len(texts), near_pairs(texts, texts))
    assert same_partition(near_components(on_disk(texts)).tolist(), expected)
    for n, text in enumerate(texts, start=1):
        near = [20 * min(n, m) >= 9 * (n + m) for m in range(1, 200)]
        assert has_near(on_disk(texts), on_disk([text])).tolist() == near


def test_the_real_ratio_of_long_texts_that_share_letters_alone_is_asked():
    text = "the quick brown fox jumps over the lazy dog " * 8
    assert len(set(near_components(on_disk([text, text[::-1]])).tolist())) == 2


def count_calls(monkeypatch, owner, name, size):
    """A list that grows by `size` of the arguments at each call."""
    calls, function = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *a, **k: calls.append(size(*a)) or function(*a, **k))
    return calls


@pytest.mark.parametrize(
    "families", [["you have won a prize "], ["who won a prize ", "lunch at 1 "]]
)
def test_not_every_pair_of_a_corpus_of_near_twins_is_compared(monkeypatch, families):
    compared = count_calls(monkeypatch, near_duplicates.process, "cpdist", lambda a, b: len(a))
    sieved = count_calls(monkeypatch, near_duplicates, "_sieved", lambda *_: 1)
    texts = [f"{(families[n % len(families)] * 9)[:88]}{n:04d}" for n in range(3000)]
    expected = [n % len(families) for n in range(3000)]
    assert same_partition(near_components(on_disk(texts)).tolist(), expected)
    assert sum(compared) < comb(3000, 2) / 4
    assert len(families) > 1 or len(sieved) <= 3


def test_texts_may_hold_one_letter_any_number_of_times():
    texts = ["a" * 200_000, "b" * 70_000, "a" * 199_000, "ab", "a" * 130_000 + "b" * 70_000]
    found = [True, False, True, False, False]
    assert same_partition(near_components(on_disk(texts)).tolist(), [0, 1, 0, 3, 4])
    assert has_near(on_disk(texts), on_disk(["a" * 190_000])).tolist() == found


def test_a_letter_held_often_costs_no_table_of_all_lower_counts():
    ours, theirs = (np.full((2, n), 200_000, dtype=np.uint32) for n in (1, 300))
    tracemalloc.start()
    try:
        common = near_duplicates._letters_in_common(ours, theirs, longest=400_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert common.tolist() == [[400_000] * 300]
    assert peak < 2**20  # a table of each count up to 200,000 takes 240 MB


def test_nothing_is_near_nothing():
    assert near_components(on_disk([])).tolist() == []
    assert has_near(on_disk([]), on_disk(["a"])).tolist() == []
    assert has_near(on_disk(["a"]), on_disk([])).tolist() == [False]


@given(st.integers(1, 12), st.data())
def test_what_a_chain_of_pairs_leads_to_has_one_label_and_nothing_else(n, data):
    number = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=15))
    halves = [np.array(half, dtype=int).reshape(-1, 2).T for half in (pairs[:7], pairs[7:])]
    expected = chained(n, pairs)
    assert same_partition(merged(np.arange(n), *halves).tolist(), expected)
    assert same_partition(merged(merged(np.arange(n), halves[0]), halves[1]).tolist(), expected)
