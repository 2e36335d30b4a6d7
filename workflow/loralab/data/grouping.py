"""Groups of messages that nearly repeat one another, and which split each group goes to."""

import numpy as np
import pandas as pd

from loralab.data.near_duplicates import merged, near_components
from loralab.data.twin_forms import CRITERIA, NOTHING, TwinForms


def group_messages(forms: TwinForms, rows: np.ndarray) -> np.ndarray:
    """The group of each message in `rows`, (n,), counted from 0 in the order of first appearance.

    Two messages are in one group where a chain of twins among them connects them, by any criterion
    of `leakage`: so no message has a twin outside its group.
    """
    groups = np.arange(len(rows))
    for name in CRITERIA:
        groups = merged(groups, _alike(forms.numbers[name][rows]))
    places = forms.different(rows)
    near = near_components(forms.masked[rows[places]])
    return pd.factorize(merged(groups, places[_alike(near)]))[0]


def _alike(numbers: np.ndarray) -> np.ndarray:
    """Pairs of places, (2, some), that connect all that have the same number."""
    places = np.flatnonzero(numbers != NOTHING)
    one_of = np.zeros(numbers.max(initial=0) + 1, dtype=np.int64)
    one_of[numbers[places]] = places
    pairs = np.stack([places, one_of[numbers[places]]])
    return pairs[:, pairs[0] != pairs[1]]


def assign_groups(
    counts: np.ndarray, targets: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The split of each group, (g,), so that splits come close to the sizes wanted.

    From the largest group to the smallest, each goes to a split that has room for all of it, at
    random in proportion to that room, so that large groups are not kept from any split; where none
    has, to the one with most room. A split then differs from its target by less than the largest
    group, and not at all where there are single messages enough. (With groups of one message it is
    a draw without replacement.) Only where a split would be left without a label, as there are few
    groups, does it get one of the last in any case, and another may fall short by up to twice that.

    Args:
        counts: messages of each label in each group, (g, labels).
        targets: messages of each label that each split should have, (splits, labels).
    """
    room, splits = targets.astype(np.int64), np.full(len(counts), -1)
    placed, left = np.zeros_like(targets, dtype=bool), (counts > 0).sum(axis=0)
    order = generator.permutation(len(counts))
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        split = _choose(counts[group], room, _allowed(counts[group], placed, left), generator)
        splits[group] = split
        room[split] -= counts[group]
        placed[split] |= counts[group] > 0
        left -= counts[group] > 0
    return splits


def _allowed(group: np.ndarray, placed: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Which splits a group may go to, (splits,): all, or those that would else lack a label of it.

    Args:
        group: its messages of each label, (labels,).
        placed: whether a split has a label yet, (splits, labels).
        left: groups not placed yet that have a label, this one among them, (labels,).
    """
    urgent = (group > 0) & (left <= (~placed).sum(axis=0))
    lacking = (~placed & urgent).any(axis=1)
    return lacking if lacking.any() else np.ones(len(placed), dtype=bool)


def _choose(
    group: np.ndarray, room: np.ndarray, allowed: np.ndarray, generator: np.random.Generator
) -> int:
    # Sizes differ least, in squares, where the product of room and group is largest.
    gains = room @ group
    fits = allowed & (room >= group).all(axis=1)
    if not fits.any():
        return int(np.where(allowed, gains, -np.inf).argmax())
    ends = np.cumsum(np.where(fits, gains, 0))
    return int(np.searchsorted(ends, generator.integers(ends[-1]), side="right"))
