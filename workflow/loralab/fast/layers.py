"""Linear layers with adapters and norms on packed tokens, forward and backward.

Every part returns what its backward pass needs and takes the gradient of what it gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from loralab.fast.parameters import FlatParameters
from loralab.model.lora import LoRALinear

Layers = Sequence[nn.Linear | LoRALinear]


@dataclass(frozen=True)
class Adapter:
    """One adapter of a fused layer, as `FlatParameters.work` has it."""

    rows: slice  # of all As of the layer, one above the other
    columns: slice  # of the output
    a: Tensor  # (r, in)
    a_gradient: Tensor
    b: Tensor  # (r, out): transposed, and times the scaling
    b_gradient: Tensor  # of the transposed B, but for the scaling


class AdaptedLinear:
    """One or more linear layers of the same input as one product, with their adapters.

    Here it is found out what adapters there are. How they and the frozen weights are multiplied
    is `CompiledLinear`'s or `ExtendedLinear`'s.

    Args:
        layers: each an `nn.Linear` or a `LoRALinear`; one that is merged counts as a plain layer.
        flat: where the adapters' numbers and gradients are; None where nothing is to be trained.
    """

    multiplier = "PyTorch"  # who multiplies, by name

    def __init__(self, layers: Layers, flat: FlatParameters | None):
        self.inputs, self.dropout = layers[0].in_features, 0.0
        self.adapters: list[Adapter] = []
        row = column = 0
        for layer in layers:
            columns = slice(column, column + layer.out_features)
            column = columns.stop
            if _has_adapter(layer):
                rows = slice(row, row + layer.rank)
                row = rows.stop
                a = (part.view(layer.rank, -1) for part in flat.span([layer.lora_A]))
                b = (part.view(layer.rank, -1) for part in flat.span([layer.lora_B]))
                self.adapters.append(Adapter(rows, columns, *a, *b))
        self.rank = row
        adapted = [layer for layer in layers if _has_adapter(layer)]
        if adapted:
            self.dropout = adapted[0].dropout.p
            self.a, self.a_gradient = flat.span([layer.lora_A for layer in adapted])
            self.b, self.b_gradient = flat.span([layer.lora_B for layer in adapted])

    def refresh(self) -> None:
        """Take over the adapters' present values."""
        raise NotImplementedError

    def room(self, rows: int) -> Any:
        """Where an input of so many rows is to be put: `x` of it, (N, in)."""
        raise NotImplementedError

    def forward(self, given: Any, passes: Any) -> tuple[Tensor, Any]:  # -> (N, out)
        """The output, and what the backward pass needs."""
        raise NotImplementedError

    def backward(
        self, dy: Tensor, saved: Any, passes: Any, wants_dx: bool = True
    ) -> Tensor | None:  # (N, out) -> (N, in)
        """dx, where it is wanted; the adapters' gradients go into the flat vector."""
        raise NotImplementedError

    def give_back(self) -> None:
        """Give the layers the weights that they came with."""
        raise NotImplementedError


def _has_adapter(layer: nn.Linear | LoRALinear) -> bool:
    """Whether there is an adapter beside the weight; a merged one is within."""
    return isinstance(layer, LoRALinear) and not layer.merged


def joined_bias(layers: Layers, dtype: torch.dtype) -> Tensor:  # -> (out,)
    return torch.cat([layer.bias.detach().to(dtype) for layer in layers])


class LayerNorm:
    """A frozen layer norm, at least in float32, by PyTorch."""

    def __init__(self, norm: nn.LayerNorm):
        # The model's own norms may be in bf16.
        self.weight, self.bias = norm.weight.detach(), norm.bias.detach()
        if self.weight.dtype == torch.bfloat16:
            self.weight, self.bias = self.weight.float(), self.bias.float()
        self.shape, self.epsilon = norm.normalized_shape, norm.eps
        self.epsilons = self.weight.new_tensor([norm.eps])  # as compiled loops read it

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
