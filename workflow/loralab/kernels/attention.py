"""Kernels for causal attention: one head of one message after the other, in a core's own cache.

A head's queries, keys and values, `width` numbers each, are copied next to each other, wide and
with zeros to whole strips; its products are those of `strips.py`. Of a message every row asks, or
its last token alone: `queries` rows, which see the first `keys` of its rows and, of those, the ones
up to themselves.
"""

import math

from loralab.kernels.declared import Integers, Whole, WholeProducts, helper, kernel
from loralab.kernels.scalars import LEVELS, at, exp, factor_kept, greater, like, put, wide
from loralab.kernels.strips import STRIP, multiply_strip


@helper
def whole_strips(columns):
    return -(-columns // STRIP) * STRIP


@helper
def take_head(x, x_step, rows, width, into):
    """A head's numbers of so many rows, in rows of whole strips."""
    step = whole_strips(width)
    for i in range(rows):
        for j in range(width):
            into[i * step + j] = wide(x[i * x_step + j])
        for j in range(width, step):
            into[i * step + j] = 0


@helper
def take_transposed(x, x_step, rows, width, into):
    """The same with a row for each of a head's numbers."""
    step = whole_strips(rows)
    for j in range(width):
        for i in range(rows):
            into[j * step + i] = wide(x[i * x_step + j])
        for i in range(rows, step):
            into[j * step + i] = 0


@helper
def put_head(numbers, rows, width, into, into_step):
    """The reverse of `take_head`."""
    step = whole_strips(width)
    for i in range(rows):
        for j in range(width):
            put(into, i * into_step + j, numbers[i * step + j])


@helper
def put_zeros(rows, width, into, into_step, number):
    for i in range(rows):
        for j in range(width):
            put(into, i * into_step + j, like(number, 0))


@helper
def strip_of_zeros(room):
    """A row to begin sums with, for any number of rows."""
    for i in range(STRIP):
        room[i] = 0
    return room, 0


@helper
def multiply(height, depth, columns, x, weight, zeros, y):
    """y = x·W for W of so many columns, whose strips lie side by side."""
    for column in range(0, columns, STRIP):
        strip, into = (at(weight[0], column), weight[1]), (at(y[0], column), y[1])
        multiply_strip(height, depth, x, strip, zeros, into, strip[0])


@helper
def multiply_visible(queries, keys, width, x, of_keys, zeros, y):
    """y = x·W for W of a column for each key, where a query may see any of a strip's keys."""
    step = whole_strips(width)
    for column in range(0, keys, STRIP):
        first = max(0, column - (keys - queries))
        asked = (at(x, first * step), step, 1)
        strip = (at(of_keys, column), whole_strips(keys))
        into = (at(y[0], first * y[1] + column), y[1])
        multiply_strip(queries - first, width, asked, strip, zeros, into, strip[0])


@helper
def highest(numbers, count):
    top = numbers[0]
    for i in range(1, count):
        top = greater(top, numbers[i])
    return top


@helper
def softmax(scores, count, end, depth):
    """Of `count` scores over √depth, in their place; zeros from there to the end."""
    scale = like(scores[0], 1 / math.sqrt(depth))
    top = highest(scores, count)
    total = like(top, 0)
    for i in range(count):
        power = exp((scores[i] - top) * scale)
        scores[i] = power
        total += power
    inverse = like(top, 1) / total
    for i in range(count):
        scores[i] = scores[i] * inverse
    for i in range(count, end):
        scores[i] = 0


@helper
def softmax_backward(dseen, probabilities, seen, count, end, depth):
    """The gradient of scores in place of that of `seen`, what dropout left of probabilities."""
    scale = like(dseen[0], 1 / math.sqrt(depth))
    total = like(dseen[0], 0)
    for i in range(count):
        total += dseen[i] * seen[i]
    for i in range(count):
        dseen[i] = (dseen[i] * seen[i] - probabilities[i] * total) * scale
    for i in range(count, end):
        dseen[i] = 0


@helper
def drop(probabilities, first_place, end, key, other_key, threshold, into):
    """What dropout keeps of a row of probabilities."""
    scale = like(probabilities[0], 1 / (1 - threshold / LEVELS))
    for i in range(end):
        into[i] = probabilities[i] * factor_kept(first_place + i, key, other_key, threshold, scale)


def scratch_of_attention(longest: int, width: int) -> int:
    """Numbers that each thread has room for: four times a head's rows, keys or values transposed,
    two matrices of queries by keys, a strip of zeros.
    """
    strips = -(-longest // STRIP) * STRIP
    return 4 * longest * -(-width // STRIP) * STRIP + width * strips + 2 * longest * strips + STRIP


@kernel
def attention(
    row,
    rows,
    thread,
    messages: int,
    heads: int,
    width: int,
    longest: int,
    last_alone: int,
    starts: Integers,
    last: Integers,
    qkv: WholeProducts,
    qkv_step: int,
    probabilities: Whole,
    into: WholeProducts,
    into_step: int,
    scratch: Whole,
    room: int,
    key: int,
    other_key: int,
    threshold: int,
):
    """Values by the probabilities of their keys, which are kept: of each head, in rows of whole
    strips, `longest` for each message or one."""
    step, depth = whole_strips(longest), whole_strips(width)
    each = longest * depth
    q = at(scratch, thread * room)
    v, mixed = at(q, each), at(q, 2 * each)
    k = at(q, 4 * each)
    seen = at(k, width * step)
    zeros = strip_of_zeros(at(seen, 2 * longest * step))
    for task in range(row, row + rows):
        message, head = task % messages, task // messages
        begin = starts[message]
        first = last[message] if last_alone else begin
        queries = 1 if last_alone else starts[message + 1] - begin
        keys = first + queries - begin
        asked = at(qkv, first * qkv_step + head * width)
        known = at(qkv, begin * qkv_step + (heads + head) * width)
        take_head(asked, qkv_step, queries, width, q)
        take_transposed(known, qkv_step, keys, width, k)
        take_head(at(known, heads * width), qkv_step, keys, width, v)
        own = task * step if last_alone else task * longest * step
        by_key = at(probabilities, own)
        end = whole_strips(keys)
        multiply_visible(queries, keys, width, q, k, zeros, (by_key, step))
        for i in range(queries):
            softmax(at(by_key, i * step), keys - queries + i + 1, end, width)
        if threshold != 0:
            for i in range(queries):
                drop(
                    at(by_key, i * step),
                    own + i * step,
                    end,
                    key,
                    other_key,
                    threshold,
                    at(seen, i * step),
                )
        weights = seen if threshold != 0 else by_key
        multiply(queries, keys, depth, (weights, step, 1), (v, depth), zeros, (mixed, depth))
        to_row = message if last_alone else begin
        put_head(mixed, queries, width, at(into, to_row * into_step + head * width), into_step)


@kernel
def attention_backward(
    row,
    rows,
    thread,
    messages: int,
    heads: int,
    width: int,
    longest: int,
    last_alone: int,
    starts: Integers,
    last: Integers,
    dmixed: WholeProducts,
    dmixed_step: int,
    qkv: WholeProducts,
    qkv_step: int,
    probabilities: Whole,
    into: WholeProducts,
    into_step: int,
    scratch: Whole,
    room: int,
    key: int,
    other_key: int,
    threshold: int,
):
    """The gradient of queries, keys and values; zeros where nobody asked, or could see."""
    step, depth = whole_strips(longest), whole_strips(width)
    each = longest * depth
    q = at(scratch, thread * room)
    k, dasked, gradient = at(q, each), at(q, 2 * each), at(q, 3 * each)
    v = at(q, 4 * each)
    seen = at(v, width * step)
    dscores, into_scratch = at(seen, longest * step), (gradient, depth)
    zeros = strip_of_zeros(at(seen, 2 * longest * step))
    for task in range(row, row + rows):
        message, head = task % messages, task // messages
        begin, following = starts[message], starts[message + 1]
        first = last[message] if last_alone else begin
        queries = 1 if last_alone else following - begin
        keys = first + queries - begin
        end = whole_strips(keys)
        from_row = message if last_alone else begin
        asked = at(qkv, first * qkv_step + head * width)
        known = at(qkv, begin * qkv_step + (heads + head) * width)
        take_head(asked, qkv_step, queries, width, q)
        take_head(known, qkv_step, keys, width, k)
        take_transposed(at(known, heads * width), qkv_step, keys, width, v)
        given = at(dmixed, from_row * dmixed_step + head * width)
        take_head(given, dmixed_step, queries, width, dasked)
        own = task * step if last_alone else task * longest * step
        by_key = at(probabilities, own)
        multiply_visible(queries, keys, width, dasked, v, zeros, (dscores, step))
        for i in range(queries):
            after = i * step
            count = keys - queries + i + 1
            drop(at(by_key, after), own + after, end, key, other_key, threshold, at(seen, after))
            softmax_backward(
                at(dscores, after), at(by_key, after), at(seen, after), count, end, width
            )
        dq = at(into, begin * into_step + head * width)
        dk, dv = at(dq, heads * width), at(dq, 2 * heads * width)
        multiply(keys, queries, depth, (seen, 1, step), (dasked, depth), zeros, into_scratch)
        put_head(gradient, keys, width, dv, into_step)
        multiply(keys, queries, depth, (dscores, 1, step), (q, depth), zeros, into_scratch)
        put_head(gradient, keys, width, dk, into_step)
        multiply(queries, keys, depth, (dscores, step, 1), (k, depth), zeros, into_scratch)
        put_head(gradient, queries, width, at(dq, (first - begin) * into_step), into_step)
        put_zeros(first - begin, width, dq, into_step, zeros[0][0])
        beyond = following - begin - keys
        for part in range(3):
            rest = at(dq, keys * into_step + part * heads * width)
            put_zeros(beyond, width, rest, into_step, zeros[0][0])
