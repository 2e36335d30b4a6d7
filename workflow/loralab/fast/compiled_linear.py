"""A layer on a CPU: its frozen weight by PyTorch's or oneDNN's products, its adapters compiled.

Shapes: N rows of a batch, R the ranks of a layer's adapters together.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from loralab.fast.compiled_passes import CompiledPasses, Selection
from loralab.fast.layers import AdaptedLinear, Layers
from loralab.fast.machine import has_avx512, has_onednn_bf16
from loralab.fast.parameters import FlatParameters
from loralab.fast.products import LaidOutWeight, OneDNNWeight, Updates, Weight, rows_of_products
from loralab.fast.striped_weight import StripedWeight, fits_strips


class Input(NamedTuple):
    """What a product multiplies."""

    x: Tensor  # (N, in)


class CompiledLinear(AdaptedLinear):
    """See `AdaptedLinear`. The adapters' numbers stay as wide as they are trained."""

    def __init__(self, layers: Layers, flat: FlatParameters | None, dtype: torch.dtype):
        super().__init__(layers, flat)
        self.dtype = dtype
        self.held = way_of_holding(layers, dtype, flat is not None)(layers, dtype)
        self.multiplier = self.held.multiplier
        updated = sum(e.b.shape[1] for e in self.adapters)
        # By the update, where that reaches every column.
        self.adds_bias = self.held.wants_bias_added and updated == len(self.held.bias)
        if self.adapters:
            self.share_step = len(flat.work)  # from one thread's gradients to the next one's
            self.parts = torch.tensor(self._parts()).flatten()

    def _parts(self) -> list[tuple[int, ...]]:
        """Of each adapter what kernels want to know of it: see `kernels.adapters.PART`."""
        parts, start = [], 0
        for e in self.adapters:
            rank, width = e.b.shape
            parts.append((e.rows.start, rank, e.columns.start, width, start))
            start += e.b.numel()
        return parts

    def refresh(self) -> None:
        """The kernels read the flat vector."""

    def room(self, rows: int) -> Input:
        return Input(rows_of_products(rows, self.inputs, self.dtype))

    def forward(self, given: Input, passes: CompiledPasses) -> tuple[Tensor, tuple]:
        x, bias = given.x, None if self.adds_bias else self.held.bias
        if not self.adapters:
            return self.held.forward(x, bias), ()
        kept = passes.select(self.dropout)
        low = self._low(x, passes, kept)
        updates = Updates(len(self.adapters), self.parts, low, self.b)
        if self.held.adds_updates:
            return self.held.forward(x, bias, updates), (x, low, kept)
        y = self.held.forward(x, bias)
        self._update(y, updates, passes)
        return y, (x, low, kept)

    def backward(
        self, dy: Tensor, saved: tuple, passes: CompiledPasses, wants_dx: bool = True
    ) -> Tensor | None:
        dx = self.held.backward(dy) if wants_dx else None
        if self.adapters:
            x, low, kept = saved
            dlow = self._update_backward(dy, low, passes)
            self._low_backward(dlow, x, dx, passes, kept)
        return dx

    def give_back(self) -> None:
        self.held.give_back()

    def _low(self, x: Tensor, passes: CompiledPasses, kept: Selection) -> Tensor:
        """x·Aᵀ of each adapter, (N, R) and wide, of what dropout keeps of x."""
        rows, width = x.shape
        low = self.a.new_empty(rows, self.rank)
        sizes = (width, len(self.adapters), self.parts, x, x.stride(0))
        scratch = passes.scratch
        passes.run("adapter_inputs", rows, *sizes, self.a, low, self.rank, scratch, *kept)
        return low

    def _update(self, y: Tensor, updates: Updates, passes: CompiledPasses) -> None:
        """Add each adapter's update to the output, (N, out), and the bias if that is left to it."""
        adapters, parts, low, b = updates
        bias = (self.held.bias, int(self.adds_bias))
        given = (adapters, parts, low, self.rank, b, *bias, y, y.stride(0), passes.scratch)
        passes.run("adapter_updates", len(y), *given)

    def _update_backward(self, dy: Tensor, low: Tensor, passes: CompiledPasses) -> Tensor:
        """The gradient of `low`; that of B is added to what each thread has."""
        dlow = torch.empty_like(low)
        sizes = (len(self.adapters), self.parts, dy, dy.stride(0), low, self.rank)
        gradient = (self.b, self.b_gradient, self.share_step)
        passes.run("adapter_updates_backward", len(dy), *sizes, *gradient, dlow, passes.scratch)
        return dlow

    def _low_backward(
        self, dlow: Tensor, x: Tensor, dx: Tensor | None, passes: CompiledPasses, kept: Selection
    ) -> None:
        """Add to dx, where it is wanted, what flows back, and to the gradient of A."""
        rows, width = x.shape
        to = x if dx is None else dx
        sizes = (width, len(self.adapters), self.parts, dlow, self.rank, x, x.stride(0))
        gradient = (self.a, self.a_gradient, self.share_step)
        where = (to, to.stride(0), int(dx is not None), passes.scratch)
        passes.run("adapter_inputs_backward", rows, *sizes, *gradient, *where, *kept)


def way_of_holding(
    layers: Layers, dtype: torch.dtype, trained: bool
) -> type[Weight | LaidOutWeight]:
    """Laid out where a training repeats small products many times, and there is a way for it.

    Passes of prediction are large, and leave the model as it is.
    """
    if trained and dtype == torch.bfloat16 and has_onednn_bf16():
        return OneDNNWeight
    if trained and dtype == torch.float32 and has_avx512() and fits_strips(layers):
        return StripedWeight
    return Weight
