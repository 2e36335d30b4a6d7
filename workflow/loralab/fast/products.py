"""A layer's frozen weight, held in one of several ways, and its products.

Shapes: N rows of a batch, R the ranks of a layer's adapters together.
"""

from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.layers import Layers, joined_bias

_LINE = 64  # bytes


def rows_of_products(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Room for what products read and write, (rows, columns).

    Rows are an odd number of cache lines apart: where they were a multiple of 4 KiB apart, those of
    a panel would take each other's places in a cache. oneDNN, in bf16, wants them in one piece.
    """
    if dtype == torch.bfloat16:
        return torch.empty(rows, columns, dtype=dtype)
    a_line = _LINE // dtype.itemsize
    lines = -(-columns // a_line) | 1
    return torch.empty_strided((rows, columns), (lines * a_line, 1), dtype=dtype)


class Updates(NamedTuple):
    """What the adapters of a layer add to its output: see `kernels.adapters.adapter_updates`."""

    adapters: int
    parts: Tensor
    low: Tensor  # (N, R)
    b: Tensor


class Weight:
    """The layers' weights one above the other; where there is one layer, its own."""

    multiplier = "PyTorch"
    wants_bias_added = True  # with the updates; else PyTorch makes a pass for it
    adds_updates = False

    def __init__(self, layers: Layers, dtype: torch.dtype):
        outputs = [layer.out_features for layer in layers]
        self.weight = layers[0].weight.detach().to(dtype)
        if len(layers) > 1:
            self.weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])
        for layer, part in zip(layers, self.weight.split(outputs), strict=True):
            if layer.weight.dtype == dtype:
                layer.weight.data = part  # memory for one of them only
        self.bias = joined_bias(layers, dtype)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:  # (N, in) -> (N, out)
        return functional.linear(x, self.weight, bias)

    def backward(self, dy: Tensor) -> Tensor:  # (N, out) -> (N, in)
        return dy @ self.weight

    def give_back(self) -> None:
        """The layers have their weights already."""


class LaidOutWeight:
    """The same laid out as products read it, once for each direction.

    With few rows, which a batch has, it otherwise takes about as long to lay out a weight, which is
    done anew in each product, as to multiply. Layers whose weights are of this dtype go without
    them until `give_back`: memory for one of them only.
    """

    multiplier: str  # who multiplies, by name
    wants_bias_added = False  # it is, as the output is written
    adds_updates = False

    def __init__(self, layers: Layers, dtype: torch.dtype):
        self.without = [layer if layer.weight.dtype == dtype else None for layer in layers]
        self.outputs = [layer.out_features for layer in layers]
        weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])  # (out, in)
        self.shape = weight.shape
        self.weight = self.lay_out(weight)
        for layer in filter(None, self.without):
            layer.weight.data = weight.new_empty(0)
        self.bias = joined_bias(layers, dtype)

    @cached_property
    def _transposed(self) -> Tensor:
        """Laid out when first asked for, as not every layer's input has a gradient."""
        return self.lay_out(self.plain().t().contiguous())

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:  # (N, in) -> (N, out)
        return self.multiply(x, self.weight, bias)

    def backward(self, dy: Tensor) -> Tensor:  # (N, out) -> (N, in)
        return self.multiply(dy, self._transposed, None)

    def give_back(self) -> None:
        """Give the layers the weights that they came with."""
        parts = self.plain().split(self.outputs)
        for layer, part in zip(self.without, parts, strict=True):
            if layer is not None:
                layer.weight.data = part.clone()

    def lay_out(self, weight: Tensor) -> Any:
        """A weight as products read it, (out, in)."""
        raise NotImplementedError

    def plain(self) -> Tensor:
        """The weight as it was, (out, in)."""
        raise NotImplementedError

    def multiply(self, x: Tensor, weight: Any, bias: Tensor | None) -> Tensor:
        """x·Wᵀ + b by a weight that was laid out, (N, in) -> (N, out)."""
        raise NotImplementedError


class OneDNNWeight(LaidOutWeight):
    """Laid out for oneDNN by what PyTorch's compiler emits for linear layers on CPUs.

    PyTorch has no public names for it.
    """

    multiplier = "oneDNN"

    def lay_out(self, weight: Tensor) -> Tensor:
        return torch.ops.mkldnn._reorder_linear_weight(weight)

    def plain(self) -> Tensor:
        return self.weight.to_dense()

    def multiply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
