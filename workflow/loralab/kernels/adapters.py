"""Kernels for the adapters of a layer: x ↦ x·Aᵀ, its product with s·B, and the gradients.

They take all rows of a thread, whose arrays begin at the first of them; so many columns at a time
that what they read and write again lies in a core's cache.
"""

import numpy as np

from loralab.kernels.declared import Integers, Products, Wide, helper, kernel
from loralab.kernels.scalars import LEVELS, like, put, random_bits, wide

TILE = 384  # columns at a time
SCRATCH = 9 * TILE  # numbers that each thread has room for


@helper
def choose(row, width, begin, columns, key, other_key, threshold, factors, start):
    """The factor of each number of a row's columns from `begin` on, put down from `start` on.

    Either half of the random bits is one number's.
    """
    scale = like(factors[start], 1 / (1 - threshold / LEVELS))
    nothing = like(scale, 0)
    level = np.uint32(threshold >> 16)
    half = columns // 2
    for i in range(half):
        place = np.uint32(row * width + begin + i)
        bits = random_bits(place, np.uint32(key), np.uint32(other_key))
        low_bits = np.uint32(bits & np.uint32(0xFFFF))
        factors[start + i] = scale if np.uint32(bits >> np.uint32(16)) >= level else nothing
        factors[start + half + i] = scale if low_bits >= level else nothing
    if columns % 2 == 1:
        place = np.uint32(row * width + begin + columns - 1)
        bits = random_bits(place, np.uint32(key), np.uint32(other_key))
        factors[start + columns - 1] = scale if np.uint32(bits >> 16) >= level else nothing


@helper
def dots_of_four(
    count, rank, weights, from_weights, width, columns, rows, start, into, from_into, step
):
    """Add to into[k, r] the product of row k, of four at most, and row r of the weights."""
    for r in range(rank):
        one = two = three = four = like(rows[start], 0)
        first = from_weights + r * width
        for i in range(columns):
            weight = weights[first + i]
            one += weight * rows[start + i]
            two += weight * rows[start + TILE + i]
            three += weight * rows[start + 2 * TILE + i]
            four += weight * rows[start + 3 * TILE + i]
        place = from_into + r
        into[place] += one
        if count > 1:
            into[place + step] += two
        if count > 2:
            into[place + 2 * step] += three
        if count > 3:
            into[place + 3 * step] += four


@helper
def outer_of_four(count, rank, left, from_left, step, columns, rows, start, into, from_into, width):
    """Add to into[r] the sum of left[k, r] times row k, of four at most; those beyond are 0."""
    for r in range(rank):
        place = from_left + r
        one = left[place]
        two = left[place + step] if count > 1 else like(one, 0)
        three = left[place + 2 * step] if count > 2 else like(one, 0)
        four = left[place + 3 * step] if count > 3 else like(one, 0)
        first = from_into + r * width
        for i in range(columns):
            into[first + i] += (
                one * rows[start + i]
                + two * rows[start + TILE + i]
                + three * rows[start + 2 * TILE + i]
                + four * rows[start + 3 * TILE + i]
            )


@helper
def combine(rank, left, from_left, weights, from_weights, width, columns, into, start):
    """Put down the sum of left[r] times row r of the weights, eight rows at a time."""
    whole = rank - rank % 8
    if whole == 0:
        for i in range(columns):
            into[start + i] = 0
    for r in range(0, whole, 8):
        place = from_left + r
        l0, l1, l2, l3 = left[place], left[place + 1], left[place + 2], left[place + 3]
        l4, l5, l6, l7 = left[place + 4], left[place + 5], left[place + 6], left[place + 7]
        w0 = from_weights + r * width
        w1, w2, w3, w4 = w0 + width, w0 + 2 * width, w0 + 3 * width, w0 + 4 * width
        w5, w6, w7 = w0 + 5 * width, w0 + 6 * width, w0 + 7 * width
        for i in range(columns):
            near = l0 * weights[w0 + i] + l1 * weights[w1 + i]
            near += l2 * weights[w2 + i] + l3 * weights[w3 + i]
            far = l4 * weights[w4 + i] + l5 * weights[w5 + i]
            far += l6 * weights[w6 + i] + l7 * weights[w7 + i]
            into[start + i] = near + far if r == 0 else into[start + i] + near + far
    for r in range(whole, rank):
        one = left[from_left + r]
        first = from_weights + r * width
        for i in range(columns):
            into[start + i] += one * weights[first + i]


@helper
def put_down(count, array, from_array, step, columns, rows, start):
    """Four rows of an array, those beyond `count` as 0."""
    for k in range(4):
        first, to = from_array + k * step, start + k * TILE
        if k < count:
            for i in range(columns):
                rows[to + i] = wide(array[first + i])
        else:
            for i in range(columns):
                rows[to + i] = 0


@helper
def choose_four(row, count, width, begin, columns, key, other_key, threshold, rows, start):
    """The factors of four rows, those beyond `count` as 0."""
    for k in range(4):
        to = start + k * TILE
        if k < count:
            choose(row + k, width, begin, columns, key, other_key, threshold, rows, to)
        else:
            for i in range(columns):
                rows[to + i] = 0


@helper
def multiply_four(count, array, from_array, step, columns, rows, start):
    """Each of four rows, of which `count` are there, times the array's."""
    for k in range(count):
        first, to = from_array + k * step, start + k * TILE
        for i in range(columns):
            rows[to + i] *= wide(array[first + i])


@helper
def add_flow_of_four(
    count, rank, dlow, from_low, step, a, from_a, width, columns, rows, kept, total, flow, is_first
):
    """Add to the four rows from `total` on what flows back through A, times the factors `kept`."""
    for k in range(count):
        combine(rank, dlow, from_low + k * step, a, from_a, width, columns, rows, flow)
        factors, to = kept + k * TILE, total + k * TILE
        if is_first:
            for i in range(columns):
                rows[to + i] = rows[flow + i] * rows[factors + i]
        else:
            for i in range(columns):
                rows[to + i] += rows[flow + i] * rows[factors + i]


@helper
def key_of_adapter(key, adapter):
    return np.uint32(key + adapter * 0x9E3779B9)


# The adapters of a layer, one after the other: of each, where its rank begins among all ranks, its
# rank, the first of its columns of the output, how many they are, and where its B begins. With
# dropout each has a key of its own.
PART = 5


@kernel
def adapter_inputs(
    row,
    rows,
    thread,
    width: int,
    adapters: int,
    parts: Integers,
    x: Products,
    x_step: int,
    a: Wide,
    low: Wide,
    low_step: int,
    scratch: Wide,
    key: int,
    other_key: int,
    threshold: int,
):
    """x·Aᵀ of each adapter, of what dropout keeps of x."""
    seen = thread * SCRATCH
    for i in range(rows * low_step):
        low[i] = 0
    for begin in range(0, width, TILE):
        columns = min(TILE, width - begin)
        for first in range(0, rows, 4):
            count = min(4, rows - first)
            from_x = first * x_step + begin
            for e in range(adapters):
                start, rank = parts[e * PART], parts[e * PART + 1]
                if threshold != 0:
                    own = key_of_adapter(other_key, e)
                    choose_four(
                        row + first,
                        count,
                        width,
                        begin,
                        columns,
                        key,
                        own,
                        threshold,
                        scratch,
                        seen,
                    )
                    multiply_four(count, x, from_x, x_step, columns, scratch, seen)
                elif e == 0:
                    put_down(count, x, from_x, x_step, columns, scratch, seen)
                from_a, from_low = start * width + begin, first * low_step + start
                dots_of_four(
                    count, rank, a, from_a, width, columns, scratch, seen, low, from_low, low_step
                )


@kernel
def adapter_inputs_backward(
    row,
    rows,
    thread,
    width: int,
    adapters: int,
    parts: Integers,
    dlow: Wide,
    low_step: int,
    x: Products,
    x_step: int,
    a: Wide,
    da: Wide,
    da_step: int,
    dx: Products,
    dx_step: int,
    wants_dx: int,
    scratch: Wide,
    key: int,
    other_key: int,
    threshold: int,
):
    """Add to dx, where it is wanted, what flows back from `low`, and to the gradients of each A.

    Each thread has gradients of its own, `da_step` from the last one's.
    """
    kept = thread * SCRATCH
    total = kept + 4 * TILE
    flow = total + 4 * TILE
    for begin in range(0, width, TILE):
        columns = min(TILE, width - begin)
        for first in range(0, rows, 4):
            count = min(4, rows - first)
            from_x = first * x_step + begin
            for e in range(adapters):
                start, rank = parts[e * PART], parts[e * PART + 1]
                from_a, from_low = start * width + begin, first * low_step + start
                own = key_of_adapter(other_key, e)
                choose_four(
                    row + first, count, width, begin, columns, key, own, threshold, scratch, kept
                )
                if wants_dx:
                    add_flow_of_four(
                        count,
                        rank,
                        dlow,
                        from_low,
                        low_step,
                        a,
                        from_a,
                        width,
                        columns,
                        scratch,
                        kept,
                        total,
                        flow,
                        e == 0,
                    )
                multiply_four(count, x, from_x, x_step, columns, scratch, kept)
                outer_of_four(
                    count,
                    rank,
                    dlow,
                    from_low,
                    low_step,
                    columns,
                    scratch,
                    kept,
                    da,
                    thread * da_step + from_a,
                    width,
                )
            if wants_dx:
                for k in range(count):
                    to_dx, place = (first + k) * dx_step + begin, total + k * TILE
                    for i in range(columns):
                        put(dx, to_dx + i, wide(dx[to_dx + i]) + scratch[place + i])


@kernel
def adapter_updates(
    row,
    rows,
    thread,
    adapters: int,
    parts: Integers,
    low: Wide,
    low_step: int,
    b: Wide,
    bias: Products,
    has_bias: int,
    y: Products,
    y_step: int,
    scratch: Wide,
):
    """Add to y each adapter's update, `low` times its scaled B, and a bias if there is one."""
    update = thread * SCRATCH
    for e in range(adapters):
        start, rank = parts[e * PART], parts[e * PART + 1]
        column, width = parts[e * PART + 2], parts[e * PART + 3]
        for begin in range(0, width, TILE):
            columns = min(TILE, width - begin)
            from_b = parts[e * PART + 4] + begin
            for k in range(rows):
                from_low, to = k * low_step + start, k * y_step + column + begin
                combine(rank, low, from_low, b, from_b, width, columns, scratch, update)
                if has_bias:
                    for i in range(columns):
                        scratch[update + i] += wide(bias[column + begin + i])
                for i in range(columns):
                    put(y, to + i, wide(y[to + i]) + scratch[update + i])


@kernel
def adapter_updates_backward(
    row,
    rows,
    thread,
    adapters: int,
    parts: Integers,
    dy: Products,
    dy_step: int,
    low: Wide,
    low_step: int,
    b: Wide,
    db: Wide,
    db_step: int,
    dlow: Wide,
    scratch: Wide,
):
    """The gradient of `low`; add to those of each scaled B. Threads as for `da` above."""
    seen = thread * SCRATCH
    for i in range(rows * low_step):
        dlow[i] = 0
    for e in range(adapters):
        start, rank = parts[e * PART], parts[e * PART + 1]
        column, width = parts[e * PART + 2], parts[e * PART + 3]
        for begin in range(0, width, TILE):
            columns = min(TILE, width - begin)
            from_b = parts[e * PART + 4] + begin
            for first in range(0, rows, 4):
                count = min(4, rows - first)
                from_low = first * low_step + start
                from_dy = first * dy_step + column + begin
                put_down(count, dy, from_dy, dy_step, columns, scratch, seen)
                dots_of_four(
                    count,
                    rank,
                    b,
                    from_b,
                    width,
                    columns,
                    scratch,
                    seen,
                    dlow,
                    from_low,
                    low_step,
                )
                outer_of_four(
                    count,
                    rank,
                    low,
                    from_low,
                    low_step,
                    columns,
                    scratch,
                    seen,
                    db,
                    thread * db_step + from_b,
                    width,
                )
