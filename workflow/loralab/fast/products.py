"""A layer's frozen weight, held in one of two ways, and its product with adapters beside it.

`held_weight` chooses. Either keeps the scaled B of all adapters of the layer as one matrix `b`,
(R, out), zero where an adapter and a column have nothing to do with each other.

Shapes: N tokens, R the ranks of a layer's adapters together.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from loralab.fast.machine import can_lay_out
from loralab.model.lora import LoRALinear

Layers = Sequence[nn.Linear | LoRALinear]

_ALIGNMENT = 8  # columns: a GPU's matrix units want rows of a multiple of 16 bytes


class Input(NamedTuple):
    """What a product multiplies; `whole` is both parts side by side, where they are."""

    x: Tensor  # (N, in)
    low: Tensor  # (N, R): x·Aᵀ of each adapter
    whole: Tensor | None = None


class ExtendedWeight:
    """[W, s·B] as one matrix: output and update are one product, and so are their gradients.

    The layers' own weights become parts of it, where they are of its dtype.
    """

    def __init__(self, layers: Layers, rank: int, dtype: torch.dtype):
        self.inputs, self.rank = layers[0].in_features, rank
        outputs = [layer.out_features for layer in layers]
        width = -(-(self.inputs + rank) // _ALIGNMENT) * _ALIGNMENT
        self.weight = layers[0].weight.new_zeros(sum(outputs), width, dtype=dtype)
        for layer, part in zip(layers, self.weight.split(outputs), strict=True):
            part[:, : self.inputs] = layer.weight.detach()
            if layer.weight.dtype == dtype:
                layer.weight.data = part[:, : self.inputs]  # memory for one of them only
        self.bias = _joined_bias(layers, dtype)
        self.b = self._parts(self.weight).low.t()

    def _parts(self, whole: Tensor) -> Input:
        end = self.inputs + self.rank
        return Input(whole[:, : self.inputs], whole[:, self.inputs : end], whole)

    def room(self, rows: int) -> Input:
        """Where the input is to be put."""
        width, device = self.weight.shape[1], self.weight.device
        room = self._parts(torch.empty(rows, width, dtype=self.weight.dtype, device=device))
        room.whole[:, self.inputs + self.rank :].zero_()
        return room

    def take(self, x: Tensor) -> Input:  # (N, in)
        """x as an input."""
        room = self.room(len(x))
        room.x.copy_(x)
        return room

    def forward(self, given: Input) -> Tensor:  # -> (N, out)
        return functional.linear(given.whole, self.weight, self.bias)

    def backward(self, dy: Tensor, wants_dx: bool) -> tuple[Tensor | None, Tensor]:
        """What flows back to x through the frozen weight, (N, in), and to `low`, (N, R)."""
        if not wants_dx:
            return None, dy @ self.b.t()
        back = self._parts(dy @ self.weight)
        return back.x, back.low

    def give_back(self) -> None:
        """The layers have their weights already."""


class LaidOutWeight:
    """W laid out as oneDNN multiplies it, once for each direction; updates are added to the output.

    With few rows oneDNN otherwise spends as long on laying out a weight, which it does anew in each
    product, as on multiplying. Layers whose weights are of this dtype go without them until
    `give_back`: memory for one of them only.
    """

    def __init__(self, layers: Layers, rank: int, dtype: torch.dtype):
        self.dtype = dtype
        self.without = [layer if layer.weight.dtype == dtype else None for layer in layers]
        self.outputs = [layer.out_features for layer in layers]
        weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])  # (out, in)
        self.weight = _lay_out(weight)
        for layer in filter(None, self.without):
            layer.weight.data = weight.new_empty(0)
        self.bias = _joined_bias(layers, dtype)
        self.b = weight.new_zeros(rank, len(weight))

    @cached_property
    def _transposed(self) -> Tensor:
        """Laid out when first asked for, as not every layer's input has a gradient."""
        return _lay_out(self.weight.to_dense().t().contiguous())

    def room(self, rows: int) -> Input:
        """As `ExtendedWeight.room`."""
        return self._input(torch.empty(rows, self.weight.shape[1], dtype=self.dtype))

    def take(self, x: Tensor) -> Input:
        """As `ExtendedWeight.take`."""
        return self._input(x.to(self.dtype))

    def _input(self, x: Tensor) -> Input:
        return Input(x, x.new_empty(len(x), len(self.b)))

    def forward(self, given: Input) -> Tensor:
        y = _multiply(given.x, self.weight, self.bias)
        return y.addmm_(given.low, self.b) if len(self.b) else y

    def backward(self, dy: Tensor, wants_dx: bool) -> tuple[Tensor | None, Tensor]:
        """As `ExtendedWeight.backward`."""
        dx = _multiply(dy, self._transposed) if wants_dx else None
        return dx, torch.mm(dy, self.b.t())

    def give_back(self) -> None:
        """Give the layers the weights that they came with."""
        parts = self.weight.to_dense().split(self.outputs)
        for layer, part in zip(self.without, parts, strict=True):
            if layer is not None:
                layer.weight.data = part.clone()


def held_weight(
    layers: Layers, rank: int, dtype: torch.dtype, trained: bool
) -> ExtendedWeight | LaidOutWeight:
    """The layers' weights one above the other, held for products of this dtype.

    Laid out where a training repeats small products many times; passes of prediction are large,
    and leave the model as it is.
    """
    laid_out = trained and can_lay_out(dtype, layers[0].weight.device)
    return (LaidOutWeight if laid_out else ExtendedWeight)(layers, rank, dtype)


def _joined_bias(layers: Layers, dtype: torch.dtype) -> Tensor:  # -> (out,)
    return torch.cat([layer.bias.detach().to(dtype) for layer in layers])


# These are what PyTorch's compiler emits for linear layers on CPUs; it has no public name for them.


def _lay_out(weight: Tensor) -> Tensor:  # (out, in)
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x·Wᵀ + b by a weight that was laid out, (N, in) -> (N, out)."""
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
