"""A layer with adapters as one product of PyTorch's: weight and scaled Bs side by side.

Shapes: N rows of a batch, R the ranks of a layer's adapters together.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.layers import AdaptedLinear, Layers, joined_bias
from loralab.fast.parameters import FlatParameters
from loralab.fast.torch_passes import TorchPasses

_ALIGNMENT = 8  # columns: a GPU's matrix units want rows of a multiple of 16 bytes


class Input(NamedTuple):
    """What a product multiplies; `whole` is both parts side by side."""

    x: Tensor  # (N, in)
    low: Tensor  # (N, R): x·Aᵀ of each adapter
    whole: Tensor


class ExtendedLinear(AdaptedLinear):
    """[W, s·B] as one matrix: output and update are one product, and so are their gradients.

    The layers' own weights become parts of it, where they are of its dtype.
    """

    def __init__(self, layers: Layers, flat: FlatParameters | None, dtype: torch.dtype):
        super().__init__(layers, flat)
        outputs = [layer.out_features for layer in layers]
        width = -(-(self.inputs + self.rank) // _ALIGNMENT) * _ALIGNMENT
        self.weight = layers[0].weight.new_zeros(sum(outputs), width, dtype=dtype)
        for layer, part in zip(layers, self.weight.split(outputs), strict=True):
            part[:, : self.inputs] = layer.weight.detach()
            if layer.weight.dtype == dtype:
                layer.weight.data = part[:, : self.inputs]  # memory for one of them only
        self.bias = joined_bias(layers, dtype)
        b = self._parts(self.weight).low.t()  # (R, out)
        self._places = [b[e.rows, e.columns] for e in self.adapters]

    def _parts(self, whole: Tensor) -> Input:
        end = self.inputs + self.rank
        return Input(whole[:, : self.inputs], whole[:, self.inputs : end], whole)

    def refresh(self) -> None:
        for place, e in zip(self._places, self.adapters, strict=True):
            place.copy_(e.b)

    def room(self, rows: int) -> Input:
        width, device = self.weight.shape[1], self.weight.device
        room = self._parts(torch.empty(rows, width, dtype=self.weight.dtype, device=device))
        room.whole[:, self.inputs + self.rank :].zero_()
        return room

    def forward(self, given: Input, passes: TorchPasses) -> tuple[Tensor, tuple]:
        masks = []
        for rows, a, _ in self._seeing_alike(passes):
            seen, mask = passes.drop(given.x, self.dropout)
            torch.mm(seen, a.t(), out=given.low[:, rows])
            masks.append(mask)
        return functional.linear(given.whole, self.weight, self.bias), (given, masks)

    def _seeing_alike(self, passes: TorchPasses) -> list[tuple[slice, Tensor, Tensor]]:
        """Of the As that see the same input their ranks, and they and their gradients, stacked.

        With dropout each adapter sees its own selection.
        """
        if not self.adapters:
            return []
        if passes.drops(self.dropout):
            return [(e.rows, e.a, e.a_gradient) for e in self.adapters]
        stacked = (part.view(self.rank, -1) for part in (self.a, self.a_gradient))
        return [(slice(0, self.rank), *stacked)]

    def backward(
        self, dy: Tensor, saved: tuple, passes: TorchPasses, wants_dx: bool = True
    ) -> Tensor | None:
        (x, low, _), masks = saved
        if not self.adapters and not wants_dx:
            return None
        dx = None
        if wants_dx:
            dx, dlow, _ = self._parts(dy @ self.weight)
        else:
            dlow = dy @ self._parts(self.weight).low
        for e in self.adapters:
            torch.mm(low[:, e.rows].t(), dy[:, e.columns], out=e.b_gradient)
        for (rows, a, gradient), mask in zip(self._seeing_alike(passes), masks, strict=True):
            seen = passes.drop_again(x, mask, self.dropout)
            torch.mm(dlow[:, rows].t(), seen, out=gradient)
            if wants_dx and mask is None:
                dx.addmm_(dlow[:, rows], a)
            elif wants_dx:
                dx += passes.drop_again(dlow[:, rows] @ a, mask, self.dropout)
        return dx

    def give_back(self) -> None:
        """The layers have their weights already."""
