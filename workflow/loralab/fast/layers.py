"""Linear layers with adapters, norms and GELU on packed tokens, forward and backward.

Every part returns what its backward pass needs and takes the gradient of what it gave. The
residual stream, norms, attention and GELU are computed in float32, since PyTorch's bf16 kernels
for them are slower on CPUs and less exact; the large products in the dtype of the frozen weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from loralab.fast.dropout import Dropout
from loralab.fast.parameters import FlatParameters
from loralab.model.lora import LoRALinear

_GELU_LINEAR = 2 * math.sqrt(2 / math.pi)  # GELU's tanh form is h·σ(2√(2/π)·(h + 0.044715·h³))
_GELU_CUBIC = 0.044715 * _GELU_LINEAR
_GELU_ROWS = 64  # at a time, of which a core's cache holds what is computed on the way
_ALIGNMENT = 8  # columns: a GPU's matrix units want rows of a multiple of 16 bytes


@dataclass(frozen=True)
class _Adapter:
    """One adapter of a fused layer: its rows of the stacked A, its columns of the output."""

    rows: slice
    columns: slice
    b: Tensor  # (r, out): transposed, and times the scaling
    b_gradient: Tensor  # (r, out): of the transposed B, but for the scaling


class AdaptedLinear:
    """One or more linear layers of the same input as one product, with their adapters within it.

    With x·Aᵀ beside x, and the scaled B beside W, y = [x, x·Aᵀ]·[W, s·B]ᵀ + b is one product, and
    dy·[W, s·B] gives in one what flows back to x through W and what flows back to x·Aᵀ. The thin
    products, which starve a processor, are four in place of six, and none passes over y.

    Args:
        layers: each an `nn.Linear` or a `LoRALinear`; one that is merged counts as a plain layer.
        flat: where the adapters' numbers and gradients are.
        dtype: of the products.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear | LoRALinear],
        flat: FlatParameters | None,
        dtype: torch.dtype,
    ):
        self.dtype, self.inputs = dtype, layers[0].in_features
        self.adapters: list[_Adapter] = []
        self.dropout = 0.0
        self._find_adapters(layers, flat)
        rank = sum(e.rows.stop - e.rows.start for e in self.adapters)
        self.low = slice(self.inputs, self.inputs + rank)  # columns of x·Aᵀ
        self.weight = self._extended_weight(layers)
        self.bias = torch.cat([layer.bias.detach().to(dtype) for layer in layers])
        # Each scaled B, and where it stands beside W.
        self._copies = [
            (e.b.t(), self.weight[e.columns, self.low][:, e.rows]) for e in self.adapters
        ]

    def _find_adapters(
        self, layers: Sequence[nn.Linear | LoRALinear], flat: FlatParameters | None
    ) -> None:
        row = column = 0
        for layer in layers:
            columns = slice(column, column + layer.out_features)
            column = columns.stop
            if _has_adapter(layer):
                rows = slice(row, row + layer.rank)
                row = rows.stop
                b = flat.stacked([layer.lora_B], layer.out_features)
                self.adapters.append(_Adapter(rows, columns, *b))
        adapted = [layer for layer in layers if _has_adapter(layer)]
        if adapted:
            self.a, self.a_gradient = flat.stacked([e.lora_A for e in adapted], self.inputs)
            self.dropout = adapted[0].dropout.p

    def _extended_weight(self, layers: Sequence[nn.Linear | LoRALinear]) -> Tensor:
        """[W, 0], (out, in + R), R rounded up; the layers' own weights become parts of it."""
        outputs = [layer.out_features for layer in layers]
        width = -(-self.low.stop // _ALIGNMENT) * _ALIGNMENT
        weight = layers[0].weight.new_zeros(sum(outputs), width, dtype=self.dtype)
        for layer, part in zip(layers, weight.split(outputs), strict=True):
            part[:, : self.inputs] = layer.weight.detach()
            if layer.weight.dtype == self.dtype:
                layer.weight.data = part[:, : self.inputs]  # memory for one of them only
        return weight

    def refresh(self) -> None:
        """Take over the adapters' present values."""
        for b, place in self._copies:
            place.copy_(b)

    def room(self, rows: int) -> Tensor:  # -> (N, in + R)
        """Where `forward` looks for its input; the first `in` columns are to be filled."""
        return torch.empty(rows, self.weight.shape[1], dtype=self.dtype, device=self.weight.device)

    def forward(self, x: Tensor, drop: Dropout) -> tuple[Tensor, tuple]:  # (N, in + R) -> (N, out)
        """The output; `x` is from `room`."""
        masks = self._fill_low(x, drop)
        return functional.linear(x, self.weight, self.bias), (x, masks)

    def _fill_low(self, x: Tensor, drop: Dropout) -> tuple:
        """Put x·Aᵀ of all adapters beside x; with dropout each sees its own selection of x."""
        x[:, self.low.stop :].zero_()
        if not self.adapters:
            return ()
        given, low = x[:, : self.inputs], x[:, self.low]
        if not drop.share(self.dropout):
            torch.mm(given, self.a.t(), out=low)
            return ()
        masks = []
        for e in self.adapters:
            seen, mask = drop.forward(given, self.dropout)
            torch.mm(seen, self.a[e.rows].t(), out=low[:, e.rows])
            masks.append(mask)
        return tuple(masks)

    def backward(
        self, dy: Tensor, saved: tuple, drop: Dropout, wants_dx: bool = True
    ) -> Tensor | None:  # (N, out) -> (N, in)
        """dx, where it is wanted; the adapters' gradients go into the flat vector."""
        x, masks = saved
        given, low = x[:, : self.inputs], x[:, self.low]
        back = dy @ self.weight if wants_dx else None  # (N, in + R)
        dx = back[:, : self.inputs] if wants_dx else None
        if not self.adapters:
            return dx
        dlow = back[:, self.low] if wants_dx else dy @ self.weight[:, self.low]
        for e in self.adapters:
            torch.mm(low[:, e.rows].t(), dy[:, e.columns], out=e.b_gradient)
        if masks:
            return self._backward_dropped(dx, dlow, given, masks, drop)
        torch.mm(dlow.t(), given, out=self.a_gradient)
        return dx.addmm_(dlow, self.a) if wants_dx else None

    def _backward_dropped(
        self, dx: Tensor | None, dlow: Tensor, given: Tensor, masks: tuple, drop: Dropout
    ) -> Tensor | None:
        for e, mask in zip(self.adapters, masks, strict=True):
            seen = drop.backward(given, mask, self.dropout)
            torch.mm(dlow[:, e.rows].t(), seen, out=self.a_gradient[e.rows])
            if dx is not None:
                dx += drop.backward(dlow[:, e.rows] @ self.a[e.rows], mask, self.dropout)
        return dx


def _has_adapter(layer: nn.Linear | LoRALinear) -> bool:
    """Whether there is an adapter beside the weight; a merged one is within."""
    return isinstance(layer, LoRALinear) and not layer.merged


class LayerNorm:
    """A frozen layer norm, in float32."""

    def __init__(self, norm: nn.LayerNorm):
        # The model's own norms may be in bf16.
        self.weight, self.bias = norm.weight.detach(), norm.bias.detach()
        if self.weight.dtype == torch.bfloat16:
            self.weight, self.bias = self.weight.float(), self.bias.float()
        self.shape, self.epsilon = norm.normalized_shape, norm.eps

    def forward(self, x: Tensor) -> tuple[Tensor, tuple]:  # (N, C) -> (N, C)
        y, mean, scale = torch.native_layer_norm(
            x, self.shape, self.weight, self.bias, self.epsilon
        )
        return y, (x, mean, scale)

    def backward(self, dy: Tensor, saved: tuple) -> Tensor:  # (N, C) -> (N, C)
        x, mean, scale = saved
        wanted = [True, False, False]
        return torch.ops.aten.native_layer_norm_backward(
            dy, x, self.shape, mean, scale, self.weight, self.bias, wanted
        )[0]


def activate(h: Tensor, into: Tensor, wants_slope: bool) -> Tensor | None:
    """Put GELU of h (N, 4C) into `into`; what its backward pass needs, where that is wanted."""
    if wants_slope and not h.is_cuda:
        slope = torch.empty_like(h)
        for parts in zip(*(whole.split(_GELU_ROWS) for whole in (h, into, slope)), strict=True):
            _gelu_and_slope(*parts)
        return slope
    into.copy_(functional.gelu(h, approximate="tanh"))
    return h


def activate_backward(dactive: Tensor, saved: Tensor) -> Tensor:  # (N, 4C) -> (N, 4C)
    """The gradient of GELU's input."""
    if dactive.is_cuda:
        return torch.ops.aten.gelu_backward(dactive, saved, approximate="tanh")
    return dactive.mul_(saved)


def _gelu_and_slope(h: Tensor, into: Tensor, slope: Tensor) -> None:
    """Put GELU of h into `into`, and its derivative there into `slope`.

    By way of σ, which CPUs compute several times faster than PyTorch's GELU in its tanh form: with
    z = h·(2√(2/π) + c·h²), GELU is h·σ(z), and its derivative σ(z) + 3·(z - ⅔·2√(2/π)·h)·σ'(z).
    """
    wide = h.to(torch.promote_types(h.dtype, torch.float32))
    z = torch.addcmul(wide.new_full((1,), _GELU_LINEAR), wide, wide, value=_GELU_CUBIC).mul_(wide)
    sigma = torch.sigmoid(z)
    torch.mul(wide, sigma, out=into)
    z.add_(wide, alpha=-2 / 3 * _GELU_LINEAR)
    rest = torch.ops.aten.sigmoid_backward(z, sigma)
    slope.copy_(sigma.add_(rest, alpha=3))
