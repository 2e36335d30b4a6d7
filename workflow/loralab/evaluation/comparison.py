"""Two systems on the same messages: what separates them is where they disagree."""

from math import comb

import numpy as np


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict:
    """McNemar's exact test (McNemar, 1947) of two systems on the same messages.

    Args:
        first, second: (n,) whether each system was right on each message.

    Returns `only_first_right` and `only_second_right`, the messages on which they disagree, and
    `p_value`, two-sided: how often a fair coin splits that many at least as unevenly; 1 where they
    never disagree.
    """
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    disagreed, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(disagreed, k) for k in range(fewer + 1)) / 2**disagreed
    return {
        "only_first_right": only_first,
        "only_second_right": only_second,
        "p_value": min(1.0, 2 * tail),
    }
