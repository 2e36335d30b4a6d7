"""Kernels for attention but for its products: heads to their places and back, softmax."""

import math

from loralab.kernels.declared import Integers, Products, Wide, helper, kernel
from loralab.kernels.scalars import exp, greater, like, put, wide


@helper
def highest(numbers, count):
    top = numbers[0]
    for i in range(1, count):
        top = greater(top, numbers[i])
    return top


@kernel
def softmax(
    row, thread, width: int, keys: int, depth: int, scores: Wide, visible: Integers, into: Wide
):
    """Of scores over √depth, as far as they are visible; `keys` tells how `visible` repeats."""
    count = visible[row % keys]
    scale = like(scores[0], 1 / math.sqrt(depth))
    top = highest(scores, count)
    total = like(top, 0)
    for i in range(count):
        power = exp((scores[i] - top) * scale)
        into[i] = power
        total += power
    inverse = like(top, 1) / total
    for i in range(count):
        into[i] = into[i] * inverse
    for i in range(count, width):
        into[i] = 0


@kernel
def softmax_backward(
    row, thread, width: int, depth: int, dseen: Wide, probabilities: Wide, seen: Wide, into: Wide
):
    """The gradient of scores; `seen` is what dropout left of probabilities."""
    scale = like(dseen[0], 1 / math.sqrt(depth))
    total = like(dseen[0], 0)
    for i in range(width):
        total += dseen[i] * seen[i]
    for i in range(width):
        into[i] = (dseen[i] * seen[i] - probabilities[i] * total) * scale


@kernel
def split(
    row,
    thread,
    all_rows: int,
    width: int,
    parts: int,
    heads: int,
    messages: int,
    longest: int,
    x: Products,
    places: Integers,
    into: Wide,
):
    """A row's heads to their places in (parts, messages, heads, longest, width).

    Places between this row's and the next one's are a message's end, which has no row: 0.
    """
    place = places[row]
    following = places[row + 1] if row + 1 < all_rows else messages * longest
    message, position = place // longest, place % longest
    for part in range(parts):
        for head in range(heads):
            source = (part * heads + head) * width
            start = (((part * messages + message) * heads + head) * longest + position) * width
            for i in range(width):
                into[start + i] = wide(x[source + i])
            for i in range(width, (following - place) * width):
                into[start + i] = 0


@kernel
def join(
    row,
    thread,
    width: int,
    parts: int,
    heads: int,
    messages: int,
    longest: int,
    into: Products,
    places: Integers,
    x: Wide,
):
    """The reverse of `split`."""
    message, position = places[row] // longest, places[row] % longest
    for part in range(parts):
        for head in range(heads):
            target = (part * heads + head) * width
            start = (((part * messages + message) * heads + head) * longest + position) * width
            for i in range(width):
                put(into, target + i, x[start + i])
