"""Linear layers with adapters and norms on packed tokens, forward and backward.

Every part returns what its backward pass needs and takes the gradient of what it gave. The
residual stream, norms and attention are computed in float32, since PyTorch's bf16 kernels for them
are slower on CPUs and less exact; the large products in the dtype of the frozen weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loralab.fast.dropout import Dropout
from loralab.fast.parameters import FlatParameters
from loralab.fast.products import Input, held_weight
from loralab.model.lora import LoRALinear


@dataclass(frozen=True)
class _Adapter:
    """One adapter of a fused layer: its rows of the stacked A, its columns of the output."""

    rows: slice
    columns: slice
    b: Tensor  # (r, out): transposed, and times the scaling
    b_gradient: Tensor  # (r, out): of the transposed B, but for the scaling


class AdaptedLinear:
    """One or more linear layers of the same input as one product, with their adapters.

    `held` multiplies by the frozen weights and by all scaled Bs; what an adapter does with its
    input before, and the gradients of A and B, are here.

    Args:
        layers: each an `nn.Linear` or a `LoRALinear`; one that is merged counts as a plain layer.
        flat: where the adapters' numbers and gradients are; None where nothing is to be trained.
        dtype: of the products.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear | LoRALinear],
        flat: FlatParameters | None,
        dtype: torch.dtype,
    ):
        self.inputs = layers[0].in_features
        self.adapters: list[_Adapter] = []
        self.dropout = 0.0
        self._find_adapters(layers, flat)
        rank = sum(e.rows.stop - e.rows.start for e in self.adapters)
        self.held = held_weight(layers, rank, dtype, trained=flat is not None)
        self._places = [self.held.b[e.rows, e.columns] for e in self.adapters]

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

    def refresh(self) -> None:
        """Take over the adapters' present values."""
        for place, e in zip(self._places, self.adapters, strict=True):
            place.copy_(e.b)

    def forward(self, x: Tensor, drop: Dropout) -> tuple[Tensor, tuple]:  # (N, in) -> (N, out)
        """The output."""
        return self.forward_input(self.held.take(x), drop)

    def forward_input(self, given: Input, drop: Dropout) -> tuple[Tensor, tuple]:  # -> (N, out)
        """The output for an input from `held.room`, into which x was put."""
        masks = self._fill_low(given, drop)
        return self.held.forward(given), (given, masks)

    def _fill_low(self, given: Input, drop: Dropout) -> tuple:
        """Put x·Aᵀ of all adapters beside x; with dropout each sees its own selection of x."""
        if not self.adapters:
            return ()
        x, low, _ = given
        if not drop.share(self.dropout):
            torch.mm(x, self.a.t(), out=low)
            return ()
        masks = []
        for e in self.adapters:
            seen, mask = drop.forward(x, self.dropout)
            torch.mm(seen, self.a[e.rows].t(), out=low[:, e.rows])
            masks.append(mask)
        return tuple(masks)

    def backward(
        self, dy: Tensor, saved: tuple, drop: Dropout, wants_dx: bool = True
    ) -> Tensor | None:  # (N, out) -> (N, in)
        """dx, where it is wanted; the adapters' gradients go into the flat vector."""
        (x, low, _), masks = saved
        if not self.adapters and not wants_dx:
            return None
        dx, dlow = self.held.backward(dy, wants_dx)
        if not self.adapters:
            return dx
        for e in self.adapters:
            torch.mm(low[:, e.rows].t(), dy[:, e.columns], out=e.b_gradient)
        if masks:
            return self._backward_dropped(dx, dlow, x, masks, drop)
        torch.mm(dlow.t(), x, out=self.a_gradient)
        return dx.addmm_(dlow, self.a) if wants_dx else None

    def _backward_dropped(
        self, dx: Tensor | None, dlow: Tensor, x: Tensor, masks: tuple, drop: Dropout
    ) -> Tensor | None:
        for e, mask in zip(self.adapters, masks, strict=True):
            seen = drop.backward(x, mask, self.dropout)
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
        return torch.ops.aten.native_layer_norm_backward.default(
            dy, x, self.shape, mean, scale, self.weight, self.bias, wanted
        )[0]
