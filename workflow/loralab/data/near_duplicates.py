"""Which texts nearly repeat one another: every pair with an edit ratio of at least 90.

The edit ratio of two texts of lengths l and m, whose longest common subsequence has length s, is
200 s / (l + m): rapidfuzz's `fuzz.ratio`. It reaches 90 exactly where 20 s >= 9 (l + m). Comparing
all pairs by it takes minutes for 100,000 messages, so that two bounds on s sort pairs out first;
neither ever drops a pair that reaches 90:

- Length. s is at most the shorter length l, so 20 l >= 9 (l + m), which is m <= 11 l / 9. A text of
  45 characters has all its partners among those of 37 to 55. Sorted by length, they are one window.
- Letters. A common subsequence holds a letter at most as often as the text that has fewer of it:
  s is at most the sum over letters of the lower count. Letters are counted in 32 classes (code
  point modulo 32), as a sum over coarser classes is never lower.

Windows are compared in blocks, so that memory grows with the number of texts and not its square.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

NEAR = 90
LETTER_CLASSES = 32
# Pairs of a block: small enough for its sums to stay in a core's cache.
ROWS, COLUMNS = 128, 2048


@dataclass(frozen=True)
class _Sorted:
    """n texts, shortest first: where each stood, what it is, its length, its letters by class."""

    places: np.ndarray  # (n,)
    texts: np.ndarray  # (n,) of str
    lengths: np.ndarray  # (n,)
    letters: np.ndarray  # (LETTER_CLASSES, n)


def has_near(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """For each of `texts`, whether any of `others` has an edit ratio of at least 90 with it."""
    these, those = _sorted(texts), _sorted(others)
    found = np.zeros(len(texts), dtype=bool)
    for rows, columns in _blocks(these, those):
        if not found[rows].all():
            pairs = _sieved(these, those, rows, columns)
            near = _near(these, those, pairs[:, ~found[pairs[0]]])
            found[near[0]] = True
    return found[np.argsort(these.places)]


def near_components(texts: Sequence[str]) -> np.ndarray:
    """A number for each text, the same for two that a chain of near pairs connects."""
    known = _sorted(texts)
    labels, waiting, count = np.arange(len(texts)), [], 0
    for rows, columns in _blocks(known, known):
        # What is connected already is not compared, or a corpus of twins would take for ever.
        if len(np.union1d(labels[rows], labels[columns])) == 1:
            continue
        pairs = _sieved(known, known, rows, columns)
        near = _near(known, known, pairs[:, labels[pairs[0]] != labels[pairs[1]]])
        waiting.append(labels[near])
        count += near.shape[1]
        if count >= len(texts):  # seldom, as merging takes time in proportion to the texts
            labels, waiting, count = _merged(labels, waiting), [], 0
    return _merged(labels, waiting)[np.argsort(known.places)]


def _merged(labels: np.ndarray, waiting: list[np.ndarray]) -> np.ndarray:
    """The labels once those of each pair, in arrays of (2, some), are one."""
    pairs = np.concatenate([np.empty((2, 0), int), *waiting], axis=1)
    while pairs.size:
        # One pair of each label on either side: the rest mostly say the same again.
        firsts = np.union1d(*(np.unique(side, return_index=True)[1] for side in pairs))
        lowest = connected(len(labels), pairs[:, firsts])
        labels, pairs = lowest[labels], lowest[pairs]
        pairs = pairs[:, pairs[0] != pairs[1]]
    return labels


def connected(n: int, pairs: np.ndarray) -> np.ndarray:
    """For each number below `n` the lowest that a chain of pairs, (2, some), leads to: (n,)."""
    parents = list(range(n))
    for pair in pairs.T.tolist():
        lower, higher = sorted(_root(parents, number) for number in pair)
        parents[higher] = lower
    return np.array([_root(parents, number) for number in range(n)], dtype=np.int64)


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]  # halves the way for the next who asks
        number = parents[number]
    return number


def _sorted(texts: Sequence[str]) -> _Sorted:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    places = np.argsort(lengths, kind="stable")
    small = np.min_scalar_type(lengths.max(initial=0))
    letters = np.zeros((LETTER_CLASSES, len(texts)), small)
    for column, place in enumerate(places):
        points = np.frombuffer(texts[place].encode("utf-32-le", "surrogatepass"), dtype="<u4")
        letters[:, column] = np.bincount(points % LETTER_CLASSES, minlength=LETTER_CLASSES)
    return _Sorted(places, np.array(texts, dtype=object)[places], lengths[places], letters)


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
    small = np.min_scalar_type(max(ours[-1], theirs[-1]))
    common = np.zeros((len(ours), len(theirs)), small)
    lower = np.empty_like(common)
    for mine, other in zip(these.letters[:, rows], those.letters[:, columns], strict=True):
        np.minimum(mine.astype(small)[:, None], other.astype(small), out=lower)
        np.add(common, lower, out=common)
    # Of all columns the first is the shortest, and so asks least; then each for its own length.
    least = -(-9 * (ours + theirs[0]) // 20)
    i, j = np.nonzero(common >= least[:, None])
    kept = 20 * common[i, j].astype(np.int64) >= 9 * (ours[i] + theirs[j])
    return np.stack([i[kept] + rows.start, j[kept] + columns.start])


def _near(these: _Sorted, those: _Sorted, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs, (2, some), that have an edit ratio of at least 90."""
    if not pairs.size:
        return pairs
    ratios = process.cpdist(
        these.texts[pairs[0]], those.texts[pairs[1]], scorer=fuzz.ratio, score_cutoff=NEAR
    )
    return pairs[:, ratios >= NEAR]
