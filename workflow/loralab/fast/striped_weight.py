"""A weight in strips, by which a compiled loop multiplies: `kernels/strips.py` has it.

Shapes: N rows of a batch, S strips, R the ranks of a layer's adapters together.
"""

from functools import cached_property

import torch
from torch import Tensor

from loralab.fast.layers import Layers
from loralab.fast.products import LaidOutWeight, Updates, rows_of_products
from loralab.kernels.library import library
from loralab.kernels.strips import STRIP


def fits_strips(layers: Layers) -> bool:
    """Whether the layers' inputs and outputs are whole strips."""
    return all(e.in_features % STRIP == 0 and e.out_features % STRIP == 0 for e in layers)


class StripedWeight(LaidOutWeight):
    """See `LaidOutWeight`; a strip is (depth, STRIP). The adapters' updates are added besides."""

    multiplier = "compiled"
    adds_updates = True

    def __init__(self, layers: Layers, dtype: torch.dtype):
        super().__init__(layers, dtype)
        self._run = library(dtype, dtype, torch.get_num_threads())

    @cached_property
    def _nothing(self) -> tuple[Tensor, Updates]:
        """No bias, and no updates."""
        zeros = self.bias.new_zeros(max(self.shape))
        return zeros, Updates(0, torch.empty(0, dtype=torch.int64), zeros[None], zeros)

    def lay_out(self, weight: Tensor) -> Tensor:  # (out, in) -> (S, in · STRIP)
        by_strip = weight.view(-1, STRIP, weight.shape[1]).transpose(1, 2)
        return by_strip.reshape(len(by_strip), -1)

    def plain(self) -> Tensor:
        by_strip = self.weight.view(len(self.weight), -1, STRIP)
        return by_strip.transpose(1, 2).reshape(self.shape)

    def multiply(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, updates: Updates | None = None
    ) -> Tensor:
        rows, depth = x.shape
        y = rows_of_products(rows, len(weight) * STRIP, x.dtype)
        no_bias, no_updates = self._nothing
        bias = no_bias if bias is None else bias
        adapters, parts, low, b = updates or no_updates
        where = (x, x.stride(0), weight, bias, y, y.stride(0))
        added = (adapters, parts, low, low.stride(0), b)
        self._run("product", len(weight), rows, depth, *where, *added)
        return y

    def forward(self, x: Tensor, bias: Tensor | None, updates: Updates | None = None) -> Tensor:
        return self.multiply(x, self.weight, bias, updates)
