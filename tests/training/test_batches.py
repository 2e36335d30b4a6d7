"""Batches: every text once, in an order that seed and epoch alone decide."""

import numpy as np
import pytest
import torch
from loralab.fast.packing import rows_taken
from loralab.model.shapes import GPT2Shape
from loralab.training.batches import (
    WINDOW,
    EncodedTexts,
    collate,
    epoch_batches,
    packed_batch,
)

LENGTHS = np.random.default_rng(0).integers(1, 40, size=203)
SHAPE = GPT2Shape(vocabulary=10, context=6, width=4, layers=1, heads=1)


def _batches(by_length=True, drop_last=False, seed=1, epoch=1, lengths=LENGTHS):
    return epoch_batches(lengths, 5, by_length, drop_last, seed, epoch)


@pytest.mark.parametrize("by_length", [True, False])
def test_an_epoch_visits_every_row_once(by_length):
    batches = _batches(by_length)
    assert sorted(np.concatenate(batches)) == list(range(203))
    assert sorted(len(rows) for rows in batches) == [3] + [5] * 40


@pytest.mark.parametrize("by_length", [True, False])
def test_a_smaller_last_batch_can_be_dropped(by_length):
    batches = _batches(by_length, drop_last=True)
    assert [len(rows) for rows in batches] == [5] * 40
    assert len(set(np.concatenate(batches).tolist())) == 200


@pytest.mark.parametrize("by_length", [True, False])
def test_full_batches_are_never_dropped(by_length):
    batches = _batches(by_length, drop_last=True, lengths=LENGTHS[:200])
    assert sorted(np.concatenate(batches)) == list(range(200))


@pytest.mark.parametrize("by_length", [True, False])
def test_the_order_is_a_pure_function_of_seed_and_epoch(by_length):
    def order(**changes):
        return np.concatenate(_batches(by_length, **changes)).tolist()

    first = order()
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    assert order() == first
    assert order(epoch=2) != first
    assert order(seed=2) != first


def test_sorting_by_length_pads_less_and_keeps_the_batches_shuffled():
    def padding(batches):
        return sum(LENGTHS[rows].max() * len(rows) - LENGTHS[rows].sum() for rows in batches)

    by_length = _batches(True)
    assert padding(by_length) < padding(_batches(False)) / 3
    longest = [LENGTHS[rows].max() for rows in by_length[:WINDOW]]
    assert longest != sorted(longest)


def test_no_texts_make_no_batches():
    none = np.array([], dtype=np.int64)
    assert _batches(False, lengths=none) == []
    assert sum(len(rows) for rows in _batches(True, lengths=none)) == 0


@pytest.mark.parametrize(("pad_to", "width"), [(None, 3), (6, 6)])
def test_collate_pads_on_the_right_and_tells_the_lengths(pad_to, width):
    texts = EncodedTexts.from_lists([[1], [2, 3, 4], [5, 6]])
    ids, lengths = collate(texts, np.array([2, 1]), 9, pad_to, torch.device("cpu"))
    assert lengths.tolist() == [2, 3]
    assert ids.tolist() == [[5, 6] + [9] * (width - 2), [2, 3, 4] + [9] * (width - 3)]


def test_encoded_texts_know_their_number_and_lengths():
    texts = EncodedTexts.from_lists([[1], [2, 3, 4]])
    assert len(texts) == 2
    assert texts.lengths.tolist() == [1, 3]
    assert len(EncodedTexts.from_lists([])) == 0


def test_packed_tokens_are_rounded_up_by_padding_that_shorter_messages_take_first():
    texts = EncodedTexts.from_lists([[1, 2, 3], [4, 5]])
    exact = packed_batch(texts, np.array([1, 0]), SHAPE, multiple=1)
    assert exact.ids.tolist() == [4, 5, 1, 2, 3] and exact.last.tolist() == [1, 4]
    rounded = packed_batch(texts, np.array([1, 0]), SHAPE, multiple=4)
    assert rounded.ids.tolist() == [4, 5, 9, 9, 1, 2, 3, 9]
    assert rounded.positions.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert rounded.lengths.tolist() == [2, 3] and rounded.last.tolist() == [1, 6]
    assert rounded.longest == 4 and rounded.rows is None  # the grid is full


@pytest.mark.parametrize(
    ("lengths", "multiple", "taken"),
    [
        ([3, 5, 4], 4, [3, 5, 4]),  # a multiple already
        ([3, 5, 5], 8, [6, 5, 5]),
        ([2, 5, 3], 16, [6, 6, 4]),
        ([6, 6, 6], 16, [6, 6, 6]),  # no room: a message ends where the context does
        ([6, 5, 6], 16, [6, 6, 6]),
    ],
)
def test_rows_are_a_multiple_as_far_as_the_context_has_room(lengths, multiple, taken):
    assert rows_taken(np.array(lengths), multiple, context=6).tolist() == taken
