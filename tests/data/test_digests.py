"""Digests tell texts apart by all of their bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from loralab.data.digests import SIZE, digest, firsts, numbered

# Few different bytes and halves: digests that share one half and not the other are among them.
halves = st.sampled_from([bytes(8), bytes(7) + b"\1", b"\1" + bytes(7), b"\xff" * 8])


@given(st.lists(st.tuples(halves, halves).map(b"".join), max_size=12))
def test_numbers_are_the_same_exactly_where_digests_are(found):
    numbers = numbered(b"".join(found)).tolist()
    same = [[numbers[i] == numbers[j] for i in range(len(found))] for j in range(len(found))]
    assert same == [[a == b for a in found] for b in found]


@given(st.lists(st.tuples(halves, halves).map(b"".join), max_size=12))
def test_firsts_are_where_each_different_digest_comes_first(found):
    expected = [place for place, one in enumerate(found) if one not in found[:place]]
    assert firsts(b"".join(found)).tolist() == expected


def test_a_digest_is_of_the_text_alone_and_of_any_text():
    texts = ["", "a", "A", "a ", "é", "\ud800", "a" * 100_000]
    digests = [digest(text) for text in texts]
    assert digests == [digest(text) for text in texts]
    assert len(set(digests)) == len(texts) and {len(one) for one in digests} == {SIZE}
    assert np.array_equal(firsts(b"".join(digests)), np.arange(len(texts)))
