"""A layer on a CPU: its frozen weight by PyTorch's or oneDNN's products, its adapters compiled.

Shapes: N rows of a batch, R the ranks of a layer's adapters together.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from loralab.fast.compiled_passes import CompiledPasses
from loralab.fast.layers import AdaptedLinear, Layers
from loralab.fast.machine import can_lay_out
from loralab.fast.parameters import FlatParameters
from loralab.fast.products import LaidOutWeight, Weight


class Input(NamedTuple):
    """What a product multiplies."""

    x: Tensor  # (N, in)


class CompiledLinear(AdaptedLinear):
    """See `AdaptedLinear`. The adapters' numbers stay as wide as they are trained."""

    def __init__(self, layers: Layers, flat: FlatParameters | None, dtype: torch.dtype):
        super().__init__(layers, flat)
        self.dtype = dtype
        # Laid out where a training repeats small products many times; passes of prediction are
        # large, and leave the model as it is.
        is_laid_out = flat is not None and can_lay_out(dtype, layers[0].weight.device)
        self.held = (LaidOutWeight if is_laid_out else Weight)(layers, dtype)
        if self.adapters:
            self.share_step = len(flat.work)  # from one thread's gradients to the next one's
            self.parts = torch.tensor(self._parts()).flatten()

    def _parts(self) -> list[tuple[int, ...]]:
        """Of each adapter what kernels want to know of it: see `kernels.rows.PART`."""
        parts, start = [], 0
        for e in self.adapters:
            rank, width = e.b.shape
            parts.append((e.rows.start, rank, e.columns.start, width, start))
            start += e.b.numel()
        return parts

    def refresh(self) -> None:
        """The kernels read the flat vector."""

    def room(self, rows: int) -> Input:
        return Input(torch.empty(rows, self.inputs, dtype=self.dtype))

    def forward(self, given: Input, passes: CompiledPasses) -> tuple[Tensor, tuple]:
        y = self.held.forward(given.x)
        if not self.adapters:
            return y, ()
        low, kept = passes.adapter_inputs(given.x, self)
        passes.adapter_updates(low, y, self)
        return y, (given.x, low, kept)

    def backward(
        self, dy: Tensor, saved: tuple, passes: CompiledPasses, wants_dx: bool = True
    ) -> Tensor | None:
        dx = self.held.backward(dy) if wants_dx else None
        if self.adapters:
            x, low, kept = saved
            dlow = passes.adapter_updates_backward(dy, low, self)
            passes.adapter_inputs_backward(dlow, x, dx, kept, self)
        return dx

    def give_back(self) -> None:
        self.held.give_back()
