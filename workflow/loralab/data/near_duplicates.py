"""Which texts nearly repeat one another: every pair with an edit ratio of at least 90.

The edit ratio of two texts of lengths l and m, whose longest common subsequence has length s, is
200 s / (l + m): rapidfuzz's `fuzz.ratio`. It reaches 90 exactly where 20 s >= 9 (l + m). Comparing
all pairs by it takes minutes for 100,000 messages, so that two bounds on s sort pairs out first;
neither ever drops a pair that reaches 90:

- Length. s is at most the shorter length l, so 20 l >= 9 (l + m), which is m <= 11 l / 9. A text of
  45 characters has all its partners among those of 37 to 55. Sorted by length, they are one window.
- Letters. A common subsequence holds a letter at most as often as the text that has fewer of it:
  s is at most the sum over letters of the lower count. A sum over classes of letters is never
  lower, so that a few classes do.

Windows are compared in blocks, so that memory grows with the number of texts and not its square.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from loralab.data.texts_on_disk import TextsOnDisk

NEAR = 90
# Letters that are counted as one: rare ones together, which tells hardly fewer texts apart and
# takes less time than a class each.
LETTER_CLASSES = (*" 0etaoinsrhlducmpgwy", "bk", "fjqvxz")
# Pairs of a block: small enough for its sums to stay in a core's cache.
ROWS, COLUMNS = 128, 2048
TEXTS_AT_A_TIME = 1024  # whose letters are counted


@dataclass(frozen=True)
class _Sorted:
    """n texts, shortest first: where each stood, what it is, its length, its letters by class."""

    places: np.ndarray  # (n,)
    texts: TextsOnDisk
    lengths: np.ndarray  # (n,) int64
    letters: np.ndarray  # (len(LETTER_CLASSES), n)


def has_near(texts: TextsOnDisk, others: TextsOnDisk) -> np.ndarray:
    """For each text whether one of `others` has an edit ratio of at least 90 with it: (n,)."""
    these, those = _sorted(texts), _sorted(others)
    found = np.zeros(len(texts), dtype=bool)
    for rows, columns in _blocks(these, those):
        if not found[rows].all():
            pairs = _sieved(these, those, rows, columns)
            near = _near(these, those, pairs[:, ~found[pairs[0]]])
            found[near[0]] = True
    return found[np.argsort(these.places)]


def near_components(texts: TextsOnDisk) -> np.ndarray:
    """A number for each of n texts, (n,), the same for two that a chain of near pairs connects."""
    known = _sorted(texts)
    labels, waiting, count = np.arange(len(texts)), [], 0
    for rows, columns in _blocks(known, known):
        # What is connected already is not compared, or a corpus of twins would take for ever.
        if all((labels[part] == labels[rows.start]).all() for part in (rows, columns)):
            continue
        pairs = _sieved(known, known, rows, columns)
        near = _near(known, known, pairs[:, labels[pairs[0]] != labels[pairs[1]]])
        waiting.append(near)
        count += near.shape[1]
        if 8 * count >= len(texts):  # seldom, as merging takes time in proportion to the texts
            labels, waiting, count = merged(labels, *waiting), [], 0
    return merged(labels, *waiting)[np.argsort(known.places)]


def merged(labels: np.ndarray, *pairs: np.ndarray) -> np.ndarray:
    """Labels below n of n things, (n,), once both of each pair, in arrays (2, some), have one."""
    n = len(labels)
    ends = labels[np.concatenate([np.empty((2, 0), int), *pairs], axis=1)]
    graph = coo_array((np.ones(ends.shape[1], dtype=bool), tuple(ends)), shape=(n, n))
    return connected_components(graph, directed=False)[1][labels]


def _sorted(texts: TextsOnDisk) -> _Sorted:
    places = np.argsort(texts.lengths, kind="stable")
    ordered = texts[places]
    letters = np.zeros((len(LETTER_CLASSES), len(texts)), np.uint8)
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        some = np.arange(start, min(start + TEXTS_AT_A_TIME, len(texts)))
        counts = _letters("".join(ordered.read(some)), ordered.lengths[some])
        dtype = np.promote_types(letters.dtype, np.min_scalar_type(counts.max()))
        letters = letters.astype(dtype, copy=False)
        letters[:, some] = counts
    return _Sorted(places, ordered, ordered.lengths.astype(np.int64), letters)


def _letters(joined: str, lengths: np.ndarray) -> np.ndarray:
    """How often each of n texts, end to end, holds the letters of each class, (classes, n)."""
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    texts = np.repeat(np.arange(len(lengths)), lengths)
    cells = _CLASS_OF[np.minimum(points, len(_CLASS_OF) - 1)] * len(lengths) + texts
    counts = np.bincount(cells, minlength=len(LETTER_CLASSES) * len(lengths))
    return counts.reshape(len(LETTER_CLASSES), len(lengths))


def _classes_of_letters() -> np.ndarray:
    """The class of each code point below 128; those that are in none count with the last."""
    classes = np.full(128, len(LETTER_CLASSES) - 1)
    for number, letters in enumerate(LETTER_CLASSES):
        classes[list(letters.encode())] = number
    return classes


_CLASS_OF = _classes_of_letters()


def _blocks(these: _Sorted, those: _Sorted) -> Iterator[tuple[slice, slice]]:
    """Blocks that hold every pair whose lengths allow an edit ratio of 90.

    Where `those` are `these`, in at least one of its two orders.
    """
    for start in range(0, len(these.lengths), ROWS):
        rows = slice(start, start + ROWS)
        shortest, longest = these.lengths[rows][[0, -1]]
        first, last = _window(those.lengths, shortest, longest)
        if these is those:
            first = start
        for begin in range(first, last, COLUMNS):
            yield rows, slice(begin, min(begin + COLUMNS, last))


def _window(lengths: np.ndarray, shortest: int, longest: int) -> tuple[int, int]:
    """Where, among sorted lengths, partners of texts of `shortest` to `longest` begin and end."""
    first = np.searchsorted(lengths, -(-9 * shortest // 11))
    return first, np.searchsorted(lengths, 11 * longest // 9, side="right")


def _sieved(these: _Sorted, those: _Sorted, rows: slice, columns: slice) -> np.ndarray:
    """The pairs of a block whose letters allow an edit ratio of 90, (2, some)."""
    ours, theirs = these.lengths[rows], those.lengths[columns]
    longest = max(ours[-1], theirs[-1])
    common = _letters_in_common(these.letters[:, rows], those.letters[:, columns], longest)
    # Of all columns the first is the shortest, and so asks least; then each for its own length.
    least = -(-9 * (ours + theirs[0]) // 20)
    enough = np.flatnonzero(common >= least.astype(common.dtype)[:, None])
    i, j = np.divmod(enough, len(theirs))  # numpy's own search in two dimensions takes 40 times it
    kept = 20 * common[i, j].astype(np.int64) >= 9 * (ours[i] + theirs[j])
    return np.stack([i[kept] + rows.start, j[kept] + columns.start])


def _letters_in_common(ours: np.ndarray, theirs: np.ndarray, longest: int) -> np.ndarray:
    """For each pair the sum over letters of the lower count, (rows, columns).

    Args:
        ours, theirs: counts of each class of letters, (classes, rows) and (classes, columns).
        longest: the most letters that any of them has.
    """
    small = np.min_scalar_type(longest)
    common = np.zeros((ours.shape[1], theirs.shape[1]), small)
    lower = np.empty_like(common)
    for mine, other in zip(ours, theirs.astype(small), strict=True):
        most = int(mine.max())
        if most < len(mine):  # rows have a letter as often as others: each number is compared once
            numbers = np.arange(most + 1, dtype=small)
            np.take(np.minimum(numbers[:, None], other), mine, axis=0, out=lower, mode="clip")
        else:
            np.minimum(mine.astype(small)[:, None], other, out=lower)
        np.add(common, lower, out=common)
    return common


def _near(these: _Sorted, those: _Sorted, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs, (2, some), that have an edit ratio of at least 90."""
    if not pairs.size:
        return pairs
    ratios = process.cpdist(
        these.texts.read(pairs[0]), those.texts.read(pairs[1]), scorer=fuzz.ratio, score_cutoff=NEAR
    )
    return pairs[:, ratios >= NEAR]
