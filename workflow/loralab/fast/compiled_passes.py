"""The passes by compiled loops, on CPUs.

Dropout's selections are a function of a step's seed: each is given by two keys and a threshold, the
next ones at each dropout, and whoever needs a selection again asks by the same.

Shapes: N rows of a batch, C the width.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from loralab.fast.layers import LayerNorm
from loralab.fast.packing import PackedBatch
from loralab.fast.products import rows_of_products
from loralab.kernels.adapters import SCRATCH
from loralab.kernels.attention import scratch_of_attention
from loralab.kernels.declared import MOST_SHARES
from loralab.kernels.library import library
from loralab.kernels.strips import STRIP

_LEVELS = 2**16  # a share that is dropped is a multiple of 1/65536


class Selection(NamedTuple):
    """What a dropout keeps, as kernels are told."""

    key: int  # of 32 bits
    other_key: int
    threshold: int  # of 2³² levels


_ALL = Selection(0, 0, 0)


class _Attended(NamedTuple):
    """What attention keeps for its backward pass."""

    sizes: tuple  # as kernels are told
    qkv: Tensor  # (N, 3C)
    probabilities: Tensor  # of each head
    kept: Selection


class CompiledPasses:
    """See `passes.Passes`.

    Args:
        products: the dtype of products.
        wide: of everything else.
        threads: that run the loops.
        seed: of this step's dropout; None where nothing is to be dropped.
    """

    needs_autograd = False

    def __init__(
        self, products: torch.dtype, wide: torch.dtype, threads: int, seed: int | None = None
    ):
        self.run = library(products, wide, threads)
        self.scratch = _scratch(min(threads, MOST_SHARES) * SCRATCH, wide)
        self.wide, self.threads = wide, threads
        self._bits = None if seed is None else np.random.SFC64(seed)

    def drops(self, share: float) -> bool:
        return self._bits is not None and _level(share) > 0

    def select(self, share: float) -> Selection:
        """The next dropout's selection."""
        if not self.drops(share):
            return _ALL
        keys = int(self._bits.random_raw())
        return Selection(keys % 2**32, keys >> 32, _level(share) << 16)

    def norm(self, x: Tensor, norm: LayerNorm, into: Tensor) -> tuple:
        rows, width = x.shape
        mean, scale = x.new_empty(2, rows, 1)
        numbers = (norm.weight, norm.bias, norm.epsilons)
        self.run("norm", rows, width, x, *numbers, into, mean, scale)
        return x, mean, scale

    def norm_backward(self, dy: Tensor, norm: LayerNorm, kept: tuple, dx: Tensor) -> Tensor:
        x, mean, scale = kept
        into = torch.empty_like(dx)
        rows, width = x.shape
        self.run("norm_backward", rows, width, dy, x, norm.weight, mean, scale, dx, into)
        return into

    def gelu(self, h: Tensor, into: Tensor) -> None:
        self.run("gelu", *h.shape, h, into)

    def gelu_backward(self, dactive: Tensor, h: Tensor) -> Tensor:
        dh = rows_of_products(*h.shape, h.dtype)
        self.run("gelu_backward", *h.shape, dactive, h, dh)
        return dh

    def dropped(self, x: Tensor, share: float) -> Tensor:
        if not self.drops(share):
            return x
        y = torch.empty_like(x)
        self.run("dropped", *x.shape, x, y, *self.select(share))
        return y

    def added(self, x: Tensor, branch: Tensor, share: float) -> tuple[Tensor, Selection]:
        y, kept = torch.empty_like(x), self.select(share)
        self.run("added", *x.shape, x, branch, y, *kept)
        return y, kept

    def added_backward(
        self, dx: Tensor, kept: Selection, share: float, dtype: torch.dtype
    ) -> Tensor:
        dbranch = rows_of_products(*dx.shape, dtype)
        self.run("dropped_backward", *dx.shape, dx, dbranch, *kept)
        return dbranch

    def attend(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> _Attended:
        return self._attend(qkv, batch, heads, share, into, last_alone=False)

    def attend_backward(self, dmixed: Tensor, kept: _Attended, share: float) -> Tensor:
        sizes, qkv, probabilities, selection = kept
        dqkv = rows_of_products(*qkv.shape, qkv.dtype)
        given = (dmixed, dmixed.stride(0), qkv, qkv.stride(0), probabilities)
        into = (dqkv, dqkv.stride(0))
        messages, heads, width, longest = sizes[:4]
        scratch = self._scratch_of_attention(longest, width)
        self.run(
            "attention_backward", messages * heads, *sizes, *given, *into, *scratch, *selection
        )
        return dqkv

    def attend_last(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> _Attended:
        return self._attend(qkv, batch, heads, share, into, last_alone=True)

    def attend_last_backward(self, dmixed: Tensor, kept: _Attended, share: float) -> Tensor:
        return self.attend_backward(dmixed, kept, share)

    def _attend(
        self,
        qkv: Tensor,
        batch: PackedBatch,
        heads: int,
        share: float,
        into: Tensor,
        last_alone: bool,
    ) -> _Attended:
        messages, longest, width = batch.messages, batch.longest, qkv.shape[1] // 3 // heads
        queries = 1 if last_alone else longest
        step = longest + -longest % STRIP
        probabilities = qkv.new_empty(messages * heads * queries * step, dtype=self.wide)
        selection = self.select(share)
        sizes = (messages, heads, width, longest, int(last_alone), batch.starts, batch.last)
        given = (qkv, qkv.stride(0), probabilities, into, into.stride(0))
        scratch = self._scratch_of_attention(longest, width)
        self.run("attention", messages * heads, *sizes, *given, *scratch, *selection)
        return _Attended(sizes, qkv, probabilities, selection)

    def _scratch_of_attention(self, longest: int, width: int) -> tuple[Tensor, int]:
        """Room for all threads, and how much each of them has."""
        room = scratch_of_attention(longest, width)
        return torch.empty(min(self.threads, MOST_SHARES) * room, dtype=self.wide), room


def _level(share: float) -> int:
    """The nearest level, of which the last would leave nothing to scale up."""
    return min(round(share * _LEVELS), _LEVELS - 1)


@lru_cache(maxsize=4)
def _scratch(count: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(count, dtype=dtype)
