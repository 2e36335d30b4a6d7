"""Attention on packed tokens, forward and backward: the only place where messages lie in a grid.

On a CPU it is written out, in float32: PyTorch's fused attention takes several times as long in
bf16, most of it in its backward pass. On a GPU it is PyTorch's fused one.

Shapes: N tokens, B messages, T tokens in the longest, H heads of D numbers, C the width.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.dropout import Dropout
from loralab.fast.packing import PackedBatch


class Saved(NamedTuple):
    """What attention keeps for its backward pass."""

    q: Tensor  # (B, H, Q, D)
    k: Tensor  # (B, H, T, D)
    v: Tensor  # (B, H, T, D)
    probabilities: Tensor  # (B, H, Q, T)
    mask: Tensor | None


def attend(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor, drop: Dropout, share: float
) -> tuple[Tensor, Saved]:  # (B, H, Q, D), twice (B, H, T, D) -> (B, H, Q, D)
    """Softmax attention of Q queries, of whose weights a share is dropped.

    `hidden`, (Q, T) or (B, 1, Q, T), is -inf where a query may not see a key, and 0 elsewhere.
    """
    scores = (q @ k.transpose(-2, -1)).mul_(1 / math.sqrt(q.shape[-1])).add_(hidden)
    probabilities = torch.softmax(scores, dim=-1)
    seen, mask = drop.forward(probabilities, share)
    return seen @ v, Saved(q, k, v, probabilities, mask)


def attend_backward(
    dmixed: Tensor, saved: Saved, drop: Dropout, share: float
) -> tuple[Tensor, Tensor, Tensor]:  # (B, H, Q, D) -> dq, dk, dv
    """The gradients of queries, keys and values."""
    q, k, v, probabilities, mask = saved
    dv = drop.backward(probabilities, mask, share).transpose(-2, -1) @ dmixed
    dprobabilities = drop.backward(dmixed @ v.transpose(-2, -1), mask, share)
    dscores = torch.ops.aten._softmax_backward_data(
        dprobabilities, probabilities, -1, probabilities.dtype
    ).mul_(1 / math.sqrt(q.shape[-1]))
    return dscores @ k, dscores.transpose(-2, -1) @ q, dv


def self_attention(
    qkv: Tensor, batch: PackedBatch, heads: int, drop: Dropout, share: float
) -> tuple[Tensor, tuple]:  # (N, 3C) -> (N, C)
    """Causal attention of every token."""
    if qkv.is_cuda:
        return _fused(qkv, batch, heads, drop.share(share))
    q, k, v = split_heads(qkv, batch, 3, heads)
    mixed, saved = attend(q, k, v, future(batch, q.dtype), drop, share)
    return join_heads([mixed], batch, qkv.dtype), (batch, saved)


def self_attention_backward(
    dmixed: Tensor, saved: tuple, drop: Dropout, share: float
) -> Tensor:  # (N, C) -> (N, 3C)
    """The gradient of queries, keys and values side by side."""
    batch, kept = saved
    grid = batch.spread_to_grid(dmixed)
    if dmixed.is_cuda:
        leaf, mixed = kept
        return batch.from_grid(torch.autograd.grad(mixed, leaf, grid)[0])
    heads, width = kept.q.shape[1], kept.q.shape[3]
    by_head = grid.view(batch.messages, batch.longest, heads, width).transpose(1, 2)
    dqkv = attend_backward(_laid_out(by_head, kept.q.dtype), kept, drop, share)
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
    """(N, parts·C) of any dtype -> (parts, B, H, T, D), at least in float32."""
    grid = batch.to_grid(x).view(batch.messages, batch.longest, parts, heads, -1)
    wide = torch.promote_types(x.dtype, torch.float32)
    return _laid_out(grid.permute(2, 0, 3, 1, 4), wide)


def join_heads(parts: Sequence[Tensor], batch: PackedBatch, dtype: torch.dtype) -> Tensor:
    """The reverse: each of the parts (B, H, T, D) -> (N, parts·C)."""
    messages, heads, longest, width = parts[0].shape
    shape = (messages, longest, len(parts), heads, width)
    grid = torch.empty(shape, dtype=dtype, device=parts[0].device)
    for place, part in enumerate(parts):
        grid[:, :, place] = part.transpose(1, 2)
    return batch.from_grid(grid.view(messages * longest, -1))


def beyond(batch: PackedBatch, dtype: torch.dtype) -> Tensor:  # (B, 1, 1, T)
    """-inf at the places beyond each message's end, 0 elsewhere."""
    places = torch.arange(batch.longest, device=batch.lengths.device)
    ended = places >= batch.lengths[:, None]
    scores = torch.zeros(ended.shape, dtype=dtype, device=ended.device)
    return scores.masked_fill_(ended, -torch.inf)[:, None, None]


def future(batch: PackedBatch, dtype: torch.dtype) -> Tensor:  # (T, T)
    """-inf at the places after each place, 0 elsewhere."""
    square, device = (batch.longest, batch.longest), batch.lengths.device
    return torch.full(square, -torch.inf, dtype=dtype, device=device).triu_(1)


def _laid_out(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A contiguous copy in this dtype, made in one pass."""
    return torch.empty(x.shape, dtype=dtype, device=x.device).copy_(x)
