"""Sixteen bytes in place of a text, where all that is asked is which texts are the same."""

from hashlib import blake2b

import numpy as np

SIZE = 16  # bytes: among 10^12 texts two different ones share them at odds of 1 to 10^14


def digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def numbered(digests: bytes | bytearray) -> np.ndarray:
    """A number for each of n digests that lie end to end, (n,): the same where digests are."""
    high, low = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2).T
    order = np.lexsort((low, high))
    changes = (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
    numbers = np.zeros(len(order), dtype=np.int64)
    numbers[order[1:]] = changes.cumsum()
    return numbers
