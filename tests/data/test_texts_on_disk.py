"""Texts on disk are read as they were written, by any places, from a file that has no name."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from loralab.data.texts_on_disk import TextsOnDisk

some_texts = st.lists(st.text(st.characters(), max_size=5) | st.just("\ud800"), max_size=8)


@given(some_texts, some_texts, st.data())
def test_any_texts_are_read_back_from_any_places_in_their_order(first, more, data):
    texts = TextsOnDisk.write(first)
    texts.extend(more)
    assert texts.lengths.tolist() == [len(text) for text in first + more]
    some_places = st.lists(st.sampled_from(range(len(texts))) if len(texts) else st.nothing())
    places = np.array(data.draw(some_places), dtype=int)
    assert texts.read(places) == [(first + more)[place] for place in places]
    chosen = texts[places]
    assert chosen.read(np.arange(len(places))) == texts.read(places)


def test_their_file_has_no_name_and_ends_with_them(tmp_path):
    texts = TextsOnDisk.write(["one", "two"], tmp_path)
    assert not list(tmp_path.iterdir())
    assert texts.read(np.array([1, 0, 1])) == ["two", "one", "two"]
