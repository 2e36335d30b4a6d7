"""The kernel of a product with a frozen weight that was laid out for it beforehand, in strips.

A strip is as many of the weight's columns as two vectors of AVX-512 hold; its rows lie one after
the other, so that it is read from memory in one piece. It is multiplied by a panel of rows of x
after the other, so much of their depth at a time that the part of the strip, and that of x, which
the next strip wants again, stay in a core's own cache.
"""

import llvmlite.binding as llvm

from loralab.kernels.adapters import PART
from loralab.kernels.declared import Integers, Whole, Wide, helper, kernel
from loralab.kernels.scalars import at

STRIP = 32  # columns of a weight, which lie together
# Rows of x at a time, so that their sums, and some vectors besides, fill the registers.
PANEL = 14 if llvm.get_host_cpu_features().get("avx512f") else 3
DEPTH = 384  # numbers of a row of x at a time


# Matrices below are given as (array, step): from one row to the next it is so many numbers. Of x,
# which may be read by columns, (array, step, step from one number of a row to the next).


def multiply_panel(count, depth, x, strip, start, y, ahead):
    """y = start + x·strip for `count` rows, PANEL at most, and so many rows of the strip.

    In passing it asks memory for what lies `ahead`, at a step for each row of the strip. It has no
    body here: `panel.py` builds it.
    """


@helper
def multiply_strip(height, depth, x, strip, start, y, ahead):
    """The same for all rows of x, in panels as equal as can be; `ahead` is an array."""
    panels = -(-height // PANEL)
    ahead_step = -(-STRIP // panels)
    for panel in range(panels):
        row = height * panel // panels
        count = height * (panel + 1) // panels - row
        multiply_panel(
            count,
            depth,
            (at(x[0], row * x[1]), x[1], x[2]),
            strip,
            (at(start[0], row * start[1]), start[1]),
            (at(y[0], row * y[1]), y[1]),
            (at(ahead, panel * depth * ahead_step), ahead_step),
        )


@helper
def add_updates(height, column, adapters, parts, low, b, y, ahead):
    """Add to a strip of y, which begins at a column, what the adapter there gives it."""
    for e in range(adapters):
        start, rank = parts[e * PART], parts[e * PART + 1]
        first, width = parts[e * PART + 2], parts[e * PART + 3]
        if first <= column and column < first + width:
            own = (at(low[0], start), low[1], 1)
            strip = (at(b, parts[e * PART + 4] + column - first), width)
            multiply_strip(height, rank, own, strip, y, y, ahead)


@kernel
def product(
    row,
    rows,
    thread,
    height: int,
    depth: int,
    x: Whole,
    x_step: int,
    strips: Wide,
    bias: Wide,
    y: Whole,
    y_step: int,
    adapters: int,
    parts: Integers,
    low: Whole,
    low_step: int,
    b: Wide,
):
    """x·W + bias, and the adapters' updates; of y the columns of a thread's strips.

    x has so many rows and such a depth; `low` and what follows it is as `adapter_updates` has it,
    each adapter's columns being whole strips. Sums over DEPTH are added up one after the other,
    which keeps them as exact as MKL's.
    """
    for begin in range(0, depth, DEPTH):
        part = min(DEPTH, depth - begin)
        for strip in range(rows):
            column = (row + strip) * STRIP
            weights, into = at(strips, (strip * depth + begin) * STRIP), (at(y, column), y_step)
            is_last = strip == rows - 1
            ahead = at(strips, (begin + part) * STRIP) if is_last else at(weights, depth * STRIP)
            start = (at(bias, column), 0) if begin == 0 else into
            of_x = (at(x, begin), x_step, 1)
            multiply_strip(height, part, of_x, (weights, STRIP), start, into, ahead)
            if begin + part == depth:
                add_updates(height, column, adapters, parts, (low, low_step), b, into, ahead)
