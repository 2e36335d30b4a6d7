"""What kernels do with single numbers. Those without a body are in `compiler.py`, by dtype."""

import numpy as np

from loralab.kernels.declared import helper

LEVELS = 2**32  # of random bits


def wide(number):
    """A number of any array as one to compute with: of bf16's bits the float32, else itself."""


def put(array, place, number):
    """array[place] = number, rounded once where the array is of bf16."""


def like(number, constant):
    """A constant in the dtype of a number, for float32 to stay float32."""


def at(array, place):
    """The array from a place on."""


def exp(number):
    """e to the power of a number; in float32 at least e⁻⁸⁷, and infinite from e⁸⁸·⁴ on."""


def greater(one, other):
    """The greater of two numbers, either where one is not a number."""


@helper
def mixed(bits):
    """32 bits of which each depends on each of 32 others: the mixing function lowbias32.

    https://nullprogram.com/blog/2018/07/31/ (C. Wellons, 2018) measures how well it mixes.
    """
    bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D))
    bits = np.uint32((bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(bits ^ (bits >> np.uint32(16)))


@helper
def random_bits(counter, key, other_key):
    """32 random bits for a counter and two keys, of 32 bits each."""
    return mixed(np.uint32(mixed(np.uint32(counter + key)) ^ other_key))


@helper
def factor_kept(place, key, other_key, threshold, scale):
    """Of dropout, for the number at a place: the scale, or 0 for a share of threshold / 2³²."""
    kept = random_bits(np.uint32(place), np.uint32(key), np.uint32(other_key))
    return scale if kept >= np.uint32(threshold) else like(scale, 0)
