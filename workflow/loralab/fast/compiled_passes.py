"""The passes by compiled loops, on CPUs.

Dropout's selections are a function of a step's seed: each is given by two keys and a threshold, the
next ones at each dropout, and whoever needs a selection again asks by the same.

Shapes: N rows of a batch, B messages, T rows of the longest, H heads of D numbers, C the width.
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
from loralab.kernels.declared import MOST_SHARES
from loralab.kernels.library import library

_LEVELS = 2**16  # a share that is dropped is a multiple of 1/65536


class Selection(NamedTuple):
    """What a dropout keeps, as kernels are told."""

    key: int  # of 32 bits
    other_key: int
    threshold: int  # of 2³² levels


_ALL = Selection(0, 0, 0)


class _Attended(NamedTuple):
    """What attention keeps for its backward pass; Q queries of each head."""

    batch: PackedBatch
    q: Tensor  # (B·H, Q, D)
    k: Tensor  # (B·H, T, D)
    v: Tensor  # (B·H, T, D)
    probabilities: Tensor  # (B·H, Q, T)
    seen: Tensor  # the same after dropout


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
        self.products, self.wide = products, wide
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
        q, k, v = self._split(qkv, batch, 3, heads)
        visible = _counting(batch.longest + 1)[1:]  # of a message's places each sees one more
        mixed, kept = self._attend(q, k, v, visible, batch, share)
        self._join(mixed[None], batch, into)
        return kept

    def attend_backward(self, dmixed: Tensor, kept: _Attended, share: float) -> Tensor:
        dqkv = kept.q.new_empty(3, *kept.q.shape)
        heads = len(kept.q) // kept.batch.messages
        (dmixed_by_head,) = self._split(dmixed, kept.batch, 1, heads)
        self._attend_backward(dmixed_by_head, kept, *dqkv)
        width = dmixed.shape[1]
        into = rows_of_products(len(dmixed), 3 * width, dmixed.dtype)
        return self._join(dqkv, kept.batch, into)

    def attend_last(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> _Attended:
        width = qkv.shape[1] // 3
        k, v = self._split(qkv[:, width:], batch, 2, heads)
        q = qkv[:, :width].index_select(0, batch.last).to(self.wide)
        visible = batch.lengths.repeat_interleave(heads)
        mixed, kept = self._attend(q.view(len(k), 1, -1), k, v, visible, batch, share)
        into.copy_(mixed.view(batch.messages, width))
        return kept

    def attend_last_backward(self, dmixed: Tensor, kept: _Attended, share: float) -> Tensor:
        messages, width = dmixed.shape
        dlast, dkv = torch.empty_like(kept.q), kept.k.new_empty(2, *kept.k.shape)
        self._attend_backward(dmixed.to(self.wide).reshape(dlast.shape), kept, dlast, *dkv)
        dqkv = rows_of_products(len(kept.batch.ids), 3 * width, dmixed.dtype)
        dqkv[:, :width].zero_()
        dq = dlast.view(messages, width).to(self.products)
        dqkv[:, :width].index_copy_(0, kept.batch.last, dq)
        self._join(dkv, kept.batch, dqkv[:, width:])
        return dqkv

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor, batch: PackedBatch, share: float
    ) -> tuple[Tensor, _Attended]:
        """Of (B·H, Q, D) queries and (B·H, T, D) keys; `visible` has in turn how many are seen."""
        scores = torch.bmm(q, k.transpose(1, 2))
        probabilities = torch.empty_like(scores)
        matrix = (-1, scores.shape[-1])
        scores, flat = scores.view(matrix), probabilities.view(matrix)
        sizes = (len(scores), scores.shape[1], len(visible), q.shape[-1])
        self.run("softmax", *sizes, scores, visible, flat)
        seen = self.dropped(flat, share).view(probabilities.shape)
        return torch.bmm(seen, v), _Attended(batch, q, k, v, probabilities, seen)

    def _attend_backward(
        self, dmixed: Tensor, kept: _Attended, dq: Tensor, dk: Tensor, dv: Tensor
    ) -> None:
        """Put the gradients of queries, keys and values into tensors of their shapes."""
        torch.bmm(kept.seen.transpose(1, 2), dmixed, out=dv)
        dseen = torch.bmm(dmixed, kept.v.transpose(1, 2))
        dscores = torch.empty_like(dseen)
        matrix = (-1, dseen.shape[-1])
        parts = (part.view(matrix) for part in (dseen, kept.probabilities, kept.seen, dscores))
        sizes = (dseen.shape[0] * dseen.shape[1], dseen.shape[2], kept.q.shape[-1])
        self.run("softmax_backward", *sizes, *parts)
        torch.bmm(dscores, kept.k, out=dq)
        torch.bmm(dscores.transpose(1, 2), kept.q, out=dk)

    def _split(self, x: Tensor, batch: PackedBatch, parts: int, heads: int) -> Tensor:
        """(N, parts·C) -> (parts, B·H, T, D), wide; zeros beyond a message's rows."""
        depth = x.shape[1] // parts // heads
        shape = (parts, batch.messages * heads, batch.longest, depth)
        into = x.new_empty(shape, dtype=self.wide)
        sizes = (depth, parts, heads, batch.messages, batch.longest)
        self.run("split", len(x), len(x), *sizes, x, _places(batch), into.view(-1))
        return into

    def _join(self, parts: Tensor, batch: PackedBatch, into: Tensor) -> Tensor:
        """The reverse: (parts, B·H, T, D) -> (N, parts·C)."""
        count, heads, longest, depth = parts.shape
        sizes = (depth, count, heads // batch.messages, batch.messages, longest)
        self.run("join", len(into), *sizes, into, _places(batch), parts.view(-1))
        return into


def _level(share: float) -> int:
    """The nearest level, of which the last would leave nothing to scale up."""
    return min(round(share * _LEVELS), _LEVELS - 1)


def _places(batch: PackedBatch) -> Tensor:
    return _counting(len(batch.ids)) if batch.places is None else batch.places


@lru_cache(maxsize=64)
def _counting(count: int) -> Tensor:
    return torch.arange(count)


@lru_cache(maxsize=4)
def _scratch(count: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(count, dtype=dtype)
