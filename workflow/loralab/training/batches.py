"""Tokenised messages as one flat array, and the order in which an epoch visits them."""

import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loralab.config import Training
from loralab.fast.packing import PackedBatch, pack, rows_taken
from loralab.model.shapes import GPT2Shape
from loralab.randomness import stream_seed

# Batches in a window that is sorted by length: wide enough that a batch hardly pads, narrow enough
# that the order stays random.
WINDOW = 16
_ON_DISK = np.int32  # room for any vocabulary


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as token ids, end to end: text i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray  # (total,) of an integer type; perhaps mapped from a file
    offsets: np.ndarray  # (n + 1,) int64

    @classmethod
    def from_lists(cls, encoded: Iterable[list[int]]) -> "EncodedTexts":
        """In memory."""
        flat, lengths = array("q"), array("q")
        for ids in encoded:
            flat.extend(ids)
            lengths.append(len(ids))
        return cls(np.array(flat, dtype=np.int64), _offsets(lengths))

    @classmethod
    def on_disk(cls, encoded: Iterable[list[int]], folder: Path) -> "EncodedTexts":
        """In a file that has no name, ends with the process, and is mapped: memory holds what is
        used of it at the time.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lengths = array("q")
        with tempfile.TemporaryFile(dir=folder) as file:
            for ids in encoded:
                file.write(np.array(ids, dtype=_ON_DISK).tobytes())
                lengths.append(len(ids))
            file.flush()
            empty = np.zeros(0, dtype=_ON_DISK)
            tokens = np.memmap(file, dtype=_ON_DISK, mode="r") if sum(lengths) else empty
        return cls(tokens, _offsets(lengths))

    def __getitem__(self, rows: np.ndarray) -> "EncodedTexts":
        """The texts at these places, which a mask may tell, in memory."""
        places = np.arange(len(self))[rows]
        parts = (self.tokens[self.offsets[i] : self.offsets[i + 1]].tolist() for i in places)
        return EncodedTexts.from_lists(parts)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return np.diff(self.offsets)


def _offsets(lengths: array) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def collate(
    texts: EncodedTexts, rows: np.ndarray, padding_id: int, pad_to: int | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The texts in `rows` as ids (B, T), padded on the right, and their lengths (B,).

    T is `pad_to`, or where that is None the length of the longest.
    """
    lengths = texts.lengths[rows]
    ids = np.full((len(rows), pad_to or lengths.max()), padding_id, dtype=np.int64)
    for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        start = texts.offsets[row]
        ids[place, :length] = texts.tokens[start : start + length]
    return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


def packed_batch(
    texts: EncodedTexts,
    rows: np.ndarray,
    shape: GPT2Shape,
    multiple: int,
    device: torch.device | None = None,
) -> PackedBatch:
    """The texts in `rows` end to end, for the fast path.

    Some have padding after them, which rounds the number of tokens up to a multiple.
    """
    lengths = texts.lengths[rows]
    taken = rows_taken(lengths, multiple, shape.context)
    ids = np.full(taken.sum(), shape.end_of_text, dtype=np.int64)
    for row, start, length in zip(rows, taken.cumsum() - taken, lengths, strict=True):
        begin = texts.offsets[row]
        ids[start : start + length] = texts.tokens[begin : begin + length]
    return pack(*map(torch.from_numpy, (ids, lengths, taken))).to(device)


def pad_length(settings: Training) -> int | None:
    """The length that every batch is padded to, or None for that of its longest message."""
    return settings.max_length if settings.padding == "lab" else None


def epoch_batches(
    lengths: np.ndarray, batch_size: int, by_length: bool, drop_last: bool, seed: int, epoch: int
) -> list[np.ndarray]:
    """The rows of each batch of an epoch: a pure function of the seed and the epoch.

    With `by_length`, batches hold texts of like length and come in random order; without, rows are
    merely shuffled, as in the lab. Every row appears once, but for a smaller last batch dropped.
    """
    generator = np.random.default_rng(stream_seed(seed, f"training/batches/{epoch}"))
    order = generator.permutation(len(lengths))
    if not by_length:
        return _cut(order, batch_size, drop_last)
    kept = order[: len(order) - len(order) % batch_size] if drop_last else order
    windows = np.split(kept, range(WINDOW * batch_size, len(kept), WINDOW * batch_size))
    ordered = [window[np.argsort(lengths[window], kind="stable")] for window in windows]
    batches = [batch for window in ordered for batch in _cut(window, batch_size, False)]
    return [batches[place] for place in generator.permutation(len(batches))]


def _cut(rows: np.ndarray, size: int, drop_last: bool) -> list[np.ndarray]:
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches[:-1] if drop_last and batches and len(batches[-1]) < size else batches
