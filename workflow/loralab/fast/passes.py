"""What is done between the large products, in one of two ways: by compiled loops, or by PyTorch.

Compiled loops (`compiled_passes.py`) do in one pass what PyTorch (`torch_passes.py`) does in
several; they are for CPUs. A GPU's graph of a step is made of PyTorch's operators.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from loralab.fast.layers import LayerNorm
from loralab.fast.packing import PackedBatch


class Passes(Protocol):
    """The passes of one step, with its dropout; what a pass keeps for its backward one is its own.

    Shapes: N rows of a batch, B messages, C the width. `wide` is at least float32, and
    products are in a dtype of theirs. A `share` is that of dropout.
    """

    needs_autograd: bool  # whether a backward pass rests on autograd

    def drops(self, share: float) -> bool:
        """Whether anything is dropped where this share is asked for."""

    def norm(self, x: Tensor, norm: LayerNorm, into: Tensor) -> Any:
        """Put the norm of x, (N, C) and wide, into the input of a product."""

    def norm_backward(self, dy: Tensor, norm: LayerNorm, kept: Any, dx: Tensor) -> Tensor:
        """dx, wide, and the gradient that x has by way of the norm."""

    def gelu(self, h: Tensor, into: Tensor) -> None:
        """Put GELU of h, in its tanh form, into the input of a product."""

    def gelu_backward(self, dactive: Tensor, h: Tensor) -> Tensor:
        """The gradient of h."""

    def dropped(self, x: Tensor, share: float) -> Tensor:
        """x, wide, under dropout."""

    def added(self, x: Tensor, branch: Tensor, share: float) -> tuple[Tensor, Any]:
        """x, wide, and a product's output under dropout added up."""

    def added_backward(self, dx: Tensor, kept: Any, share: float, dtype: torch.dtype) -> Tensor:
        """The gradient of the branch, in the products' dtype."""

    def attend(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> Any:
        """Put causal attention of every row, (N, 3C), into the input of a product, (N, C).

        A share of its weights is dropped.
        """

    def attend_backward(self, dmixed: Tensor, kept: Any, share: float) -> Tensor:
        """The gradient of queries, keys and values side by side: (N, C) -> (N, 3C)."""

    def attend_last(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> Any:
        """Put attention of each message's last token alone, (N, 3C), into (B, C)."""

    def attend_last_backward(self, dmixed: Tensor, kept: Any, share: float) -> Tensor:
        """As `attend_backward`: (B, C) -> (N, 3C)."""
