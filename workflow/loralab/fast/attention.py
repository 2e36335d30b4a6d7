"""Attention on packed tokens, forward and backward: the only place where messages lie in a grid.

On a CPU it is written out, in float32: PyTorch's fused attention takes several times as long in
bf16, most of it in its backward pass. On a GPU it is PyTorch's fused one.

Shapes: N tokens, B messages, T tokens in the longest, H heads of D numbers, C the width.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.dropout import Dropout
from loralab.fast.packing import PackedBatch


class Saved(NamedTuple):
    """What attention keeps for its backward pass."""

    q: Tensor  # (B·H, Q, D)
    k: Tensor  # (B·H, T, D)
    v: Tensor  # (B·H, T, D)
    probabilities: Tensor  # (B·H, Q, T)
    mask: Tensor | None


def attend(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor, drop: Dropout, share: float
) -> tuple[Tensor, Saved]:  # (B·H, Q, D), twice (B·H, T, D) -> (B·H, Q, D)
    """Softmax attention of Q queries, of whose weights a share is dropped.

    `hidden`, (Q, T) or (B·H, Q, T), is -inf where a query may not see a key, and 0 elsewhere.
    """
    scores = torch.baddbmm(hidden, q, k.transpose(1, 2), alpha=_scale(q))
    probabilities = torch.softmax(scores, dim=-1)
    seen, mask = drop.forward(probabilities, share)
    return torch.bmm(seen, v), Saved(q, k, v, probabilities, mask)


def attend_backward(
    dmixed: Tensor, saved: Saved, drop: Dropout, share: float, into: Sequence[Tensor]
) -> None:  # (B·H, Q, D)
    """Put the gradients of queries, keys and values `into` three tensors of their shapes."""
    q, k, v, probabilities, mask = saved
    dq, dk, dv = into
    torch.bmm(drop.backward(probabilities, mask, share).transpose(1, 2), dmixed, out=dv)
    dprobabilities = drop.backward(torch.bmm(dmixed, v.transpose(1, 2)), mask, share)
    dscores = torch.ops.aten._softmax_backward_data.default(
        dprobabilities, probabilities, -1, probabilities.dtype
    )
    scale = {"beta": 0, "alpha": _scale(q)}  # with beta 0 the first argument is not read
    torch.baddbmm(dq, dscores, k, **scale, out=dq)
    torch.baddbmm(dk, dscores.transpose(1, 2), q, **scale, out=dk)


def _scale(q: Tensor) -> float:
    return 1 / math.sqrt(q.shape[-1])


def self_attention(
    qkv: Tensor, batch: PackedBatch, heads: int, drop: Dropout, share: float
) -> tuple[Tensor, tuple]:  # (N, 3C) -> (N, C)
    """Causal attention of every token."""
    if qkv.is_cuda:
        return _fused(qkv, batch, heads, drop.share(share))
    q, k, v = split_heads(qkv, batch, 3, heads)
    hidden = future(batch.longest, q.dtype, q.device)
    mixed, saved = attend(q, k, v, hidden, drop, share)
    return join_heads(mixed[None], batch, qkv.dtype), (batch, saved)


def self_attention_backward(
    dmixed: Tensor, saved: tuple, drop: Dropout, share: float
) -> Tensor:  # (N, C) -> (N, 3C)
    """The gradient of queries, keys and values side by side."""
    batch, kept = saved
    grid = batch.spread_to_grid(dmixed)
    if dmixed.is_cuda:
        leaf, mixed = kept
        return batch.from_grid(torch.autograd.grad(mixed, leaf, grid)[0])
    dqkv = kept.q.new_empty(3, *kept.q.shape)
    heads = len(kept.q) // batch.messages
    attend_backward(_by_head(grid, batch, 1, heads)[0], kept, drop, share, dqkv)
    return join_heads(dqkv, batch, dmixed.dtype)


def _fused(
    qkv: Tensor, batch: PackedBatch, heads: int, share: float
) -> tuple[Tensor, tuple]:  # (N, 3C) -> (N, C)
    leaf = batch.to_grid(qkv).detach().requires_grad_()
    with torch.enable_grad():
        parts = leaf.view(batch.messages, batch.longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts, dropout_p=share, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(batch.messages * batch.longest, -1)  # (B·T, C)
    return batch.from_grid(mixed.detach()), (batch, (leaf, mixed))


def split_heads(x: Tensor, batch: PackedBatch, parts: int, heads: int) -> Tensor:
    """(N, parts·C) of any dtype -> (parts, B·H, T, D), at least in float32."""
    return _by_head(batch.to_grid(x), batch, parts, heads)


def _by_head(grid: Tensor, batch: PackedBatch, parts: int, heads: int) -> Tensor:
    """(B·T, parts·C) -> (parts, B·H, T, D), at least in float32, copied in one pass."""
    by_head = grid.view(batch.messages, batch.longest, parts, heads, -1).permute(2, 0, 3, 1, 4)
    wide = torch.promote_types(grid.dtype, torch.float32)
    laid_out = torch.empty(by_head.shape, dtype=wide, device=grid.device).copy_(by_head)
    return laid_out.flatten(1, 2)


def join_heads(parts: Tensor, batch: PackedBatch, dtype: torch.dtype) -> Tensor:
    """The reverse: (parts, B·H, T, D) -> (N, parts·C)."""
    count, _, longest, width = parts.shape
    by_head = parts.view(count, batch.messages, -1, longest, width).permute(1, 3, 0, 2, 4)
    grid = torch.empty(by_head.shape, dtype=dtype, device=parts.device).copy_(by_head)
    return batch.from_grid(grid.view(batch.messages * longest, -1))


def beyond(batch: PackedBatch, heads: int, dtype: torch.dtype) -> Tensor:  # (B·H, 1, T)
    """-inf at the places beyond each message's end, 0 elsewhere, for each of its heads."""
    places = torch.arange(batch.longest, device=batch.lengths.device)
    ended = places >= batch.lengths[:, None]
    scores = torch.zeros(ended.shape, dtype=dtype, device=ended.device)
    return scores.masked_fill_(ended, -torch.inf).repeat_interleave(heads, dim=0)[:, None]


@lru_cache(maxsize=1)  # the blocks of a network ask one after the other
def future(longest: int, dtype: torch.dtype, device: torch.device) -> Tensor:  # (T, T)
    """-inf at the places after each place, 0 elsewhere."""
    return torch.full((longest, longest), -torch.inf, dtype=dtype, device=device).triu_(1)
