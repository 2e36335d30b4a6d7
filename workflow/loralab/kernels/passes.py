"""Kernels for what a single row's numbers go through: GELU, norms, dropout with sums and casts.

Of a matrix a kernel gets the row, of a vector all of it; `thread` says which thread it runs in.
Dropout is given by two keys and a threshold of 2³² levels, 0 where nothing is dropped: what is kept
follows from them and from a number's place, so that no pass needs to tell another.
"""

import math

import numpy as np

from loralab.kernels.declared import Products, Wide, kernel
from loralab.kernels.scalars import LEVELS, exp, factor_kept, like, put, wide

_LINEAR = 2 * math.sqrt(2 / math.pi)  # GELU's tanh form is h·σ(2√(2/π)·(h + 0.044715·h³))
_CUBIC = 0.044715 * _LINEAR


@kernel
def gelu(row, thread, width: int, h: Products, into: Products):
    for i in range(width):
        x = wide(h[i])
        z = x * (like(x, _LINEAR) + like(x, _CUBIC) * x * x)
        put(into, i, x / (like(x, 1) + exp(-z)))


@kernel
def gelu_backward(row, thread, width: int, dactive: Products, h: Products, into: Products):
    for i in range(width):
        x = wide(h[i])
        square = x * x
        z = x * (like(x, _LINEAR) + like(x, _CUBIC) * square)
        s = like(x, 1) / (like(x, 1) + exp(-z))
        slope = s + x * s * (like(x, 1) - s) * (like(x, _LINEAR) + like(x, 3 * _CUBIC) * square)
        put(into, i, wide(dactive[i]) * slope)


@kernel
def norm(
    row,
    thread,
    width: int,
    x: Wide,
    weight: Wide,
    bias: Wide,
    epsilon: Wide,
    into: Products,
    mean: Wide,
    scale: Wide,
):
    total = like(x[0], 0)
    for i in range(width):
        total += x[i]
    middle = total / like(total, width)
    squares = like(total, 0)
    for i in range(width):
        squares += (x[i] - middle) * (x[i] - middle)
    inverse = like(total, 1) / np.sqrt(squares / like(total, width) + epsilon[0])
    for i in range(width):
        put(into, i, (x[i] - middle) * inverse * weight[i] + bias[i])
    mean[0] = middle
    scale[0] = inverse


@kernel
def norm_backward(
    row,
    thread,
    width: int,
    dy: Products,
    x: Wide,
    weight: Wide,
    mean: Wide,
    scale: Wide,
    dx: Wide,
    into: Wide,
):
    """The gradient of x by way of the norm, and `dx`, which is its gradient otherwise."""
    middle, inverse = mean[0], scale[0]
    total = like(middle, 0)
    along = like(middle, 0)
    for i in range(width):
        g = wide(dy[i]) * weight[i]
        total += g
        along += g * (x[i] - middle)
    total = total / like(total, width)
    along = along * inverse * inverse / like(total, width)
    for i in range(width):
        g = wide(dy[i]) * weight[i]
        into[i] = dx[i] + inverse * (g - total - (x[i] - middle) * along)


@kernel
def dropped(row, thread, width: int, x: Wide, into: Wide, key: int, other_key: int, threshold: int):
    scale = like(x[0], 1 / (1 - threshold / LEVELS))
    for i in range(width):
        into[i] = x[i] * factor_kept(row * width + i, key, other_key, threshold, scale)


@kernel
def dropped_backward(
    row, thread, width: int, dy: Wide, into: Products, key: int, other_key: int, threshold: int
):
    scale = like(dy[0], 1 / (1 - threshold / LEVELS))
    for i in range(width):
        factor = factor_kept(row * width + i, key, other_key, threshold, scale)
        put(into, i, dy[i] * factor)


@kernel
def added(
    row,
    thread,
    width: int,
    x: Wide,
    branch: Products,
    into: Wide,
    key: int,
    other_key: int,
    threshold: int,
):
    """x and what is kept of a branch."""
    scale = like(x[0], 1 / (1 - threshold / LEVELS))
    for i in range(width):
        factor = factor_kept(row * width + i, key, other_key, threshold, scale)
        into[i] = x[i] + wide(branch[i]) * factor
