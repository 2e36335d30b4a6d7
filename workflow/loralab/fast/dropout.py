"""Dropout whose selections are a function of a seed and a step.

On a CPU, PyTorch draws a number an element on one thread, which takes as long as the products of a
small batch. Here an element takes 16 random bits, so that the share that is dropped is a multiple
of 1/65536. On a GPU PyTorch draws, so that a captured graph draws anew at each replay.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_LEVELS = 2**16
_SAME_BITS = {
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Dropout:
    """The selections of one step on the CPU, drawn in the order in which they are asked for.

    Args:
        seed: of this step; None where nothing is to be dropped.
    """

    def __init__(self, seed: int | None):
        self._bits = None if seed is None else np.random.SFC64(seed)

    def share(self, wanted: float) -> float:
        """The share that is dropped where `wanted` is asked for."""
        return 0.0 if self._bits is None else round(wanted * _LEVELS) / _LEVELS

    def forward(
        self, x: Tensor, wanted: float, in_place: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x with a share of its numbers zero and the others scaled up, and the selection.

        `in_place` lets it write over x.
        """
        share = self.share(wanted)
        if share == 0:
            return x, None
        selection = self._draw(x, share)
        return (x.mul_ if in_place else x.mul)(selection), selection

    def _draw(self, x: Tensor, share: float) -> Tensor:
        """0 or 1 / (1 - share) for each number of x, in its dtype."""
        words = self._bits.random_raw(-(-x.numel() // 4)).view(np.int16)[: x.numel()]
        kept = words >= round(share * _LEVELS) - _LEVELS // 2
        # Multiplied as integers of the same bits: NumPy, which is quicker at this, has no bf16.
        selection = kept * _bits(1 / (1 - share), x.dtype)
        return torch.from_numpy(selection).view(x.dtype).view(x.shape)

    def backward(self, dy: Tensor, selection: Tensor | None, wanted: float) -> Tensor:
        """The same selection of the gradient, or of the same x once more."""
        return dy if selection is None else dy * selection


@lru_cache(maxsize=8)
def _bits(number: float, dtype: torch.dtype) -> np.integer:
    """A number of this dtype as the integer that has the same bits."""
    return torch.tensor([number], dtype=dtype).view(_SAME_BITS[dtype]).numpy()[0]


class GeneratorDropout(Dropout):
    """Dropout by PyTorch's generator of the tensor's device, which whoever uses it seeds."""

    def __init__(self):
        super().__init__(seed=None)

    def share(self, wanted: float) -> float:
        return wanted

    def forward(
        self, x: Tensor, wanted: float, in_place: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        return torch.native_dropout(x, wanted, True) if wanted else (x, None)

    def backward(self, dy: Tensor, selection: Tensor | None, wanted: float) -> Tensor:
        if selection is None:
            return dy
        return torch.ops.aten.native_dropout_backward(dy, selection, 1 / (1 - wanted))


NOTHING_DROPPED = Dropout(None)
