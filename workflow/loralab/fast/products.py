"""A layer's frozen weight, held in one of two ways, and its products.

Shapes: N rows of a batch.
"""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.layers import Layers, joined_bias


class Weight:
    """The layers' weights one above the other; where there is one layer, its own."""

    wants_bias_added = (
        True  # by who passes over the output anyway; else PyTorch makes a pass for it
    )

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
    """The same laid out as oneDNN multiplies it, once for each direction.

    With few rows oneDNN otherwise spends as long on laying out a weight, which it does anew in each
    product, as on multiplying. Layers whose weights are of this dtype go without them until
    `give_back`: memory for one of them only.
    """

    wants_bias_added = False  # oneDNN does, as it writes the output

    def __init__(self, layers: Layers, dtype: torch.dtype):
        self.without = [layer if layer.weight.dtype == dtype else None for layer in layers]
        self.outputs = [layer.out_features for layer in layers]
        weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])  # (out, in)
        self.weight = _lay_out(weight)
        for layer in filter(None, self.without):
            layer.weight.data = weight.new_empty(0)
        self.bias = joined_bias(layers, dtype)

    @cached_property
    def _transposed(self) -> Tensor:
        """Laid out when first asked for, as not every layer's input has a gradient."""
        return _lay_out(self.weight.to_dense().t().contiguous())

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return _multiply(x, self.weight, bias)

    def backward(self, dy: Tensor) -> Tensor:
        return _multiply(dy, self._transposed)

    def give_back(self) -> None:
        """Give the layers the weights that they came with."""
        parts = self.weight.to_dense().split(self.outputs)
        for layer, part in zip(self.without, parts, strict=True):
            if layer is not None:
                layer.weight.data = part.clone()


# These are what PyTorch's compiler emits for linear layers on CPUs; it has no public name for them.


def _lay_out(weight: Tensor) -> Tensor:  # (out, in)
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x·Wᵀ + b by a weight that was laid out, (N, in) -> (N, out)."""
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
