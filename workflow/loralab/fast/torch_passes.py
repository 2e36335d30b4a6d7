"""The passes by PyTorch's operators, which a GPU's graph can hold; its generator draws dropout.

Shapes: N rows of a batch, B messages, T rows of the longest, H heads of D numbers, C the width.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.layers import LayerNorm
from loralab.fast.packing import PackedBatch


class _Attended(NamedTuple):
    """What the attention of last tokens keeps for its backward pass."""

    batch: PackedBatch
    q: Tensor  # (B·H, 1, D)
    k: Tensor  # (B·H, T, D)
    v: Tensor  # (B·H, T, D)
    probabilities: Tensor  # (B·H, 1, T)
    mask: Tensor | None


class TorchPasses:
    """See `passes.Passes`.

    Args:
        is_dropping: whether dropout is drawn, by the generator of the tensors' device, which
            whoever uses this seeds.
    """

    needs_autograd = True

    def __init__(self, is_dropping: bool = False):
        self._is_dropping = is_dropping

    def drops(self, share: float) -> bool:
        return self._is_dropping and share > 0

    def drop(self, x: Tensor, share: float) -> tuple[Tensor, Tensor | None]:
        """x under dropout, and which of its numbers are kept: None stands for all."""
        return torch.native_dropout(x, share, True) if self.drops(share) else (x, None)

    def drop_again(self, x: Tensor, mask: Tensor | None, share: float) -> Tensor:
        """The same selection of other numbers."""
        if mask is None:
            return x
        return torch.ops.aten.native_dropout_backward(x, mask, 1 / (1 - share))

    def norm(self, x: Tensor, norm: LayerNorm, into: Tensor) -> tuple:
        y, kept = norm.forward(x)
        into.copy_(y)
        return kept

    def norm_backward(self, dy: Tensor, norm: LayerNorm, kept: tuple, dx: Tensor) -> Tensor:
        return norm.backward(dy.to(dx.dtype), kept).add_(dx)

    def gelu(self, h: Tensor, into: Tensor) -> None:
        torch.ops.aten.gelu.out(h, approximate="tanh", out=into)

    def gelu_backward(self, dactive: Tensor, h: Tensor) -> Tensor:
        return torch.ops.aten.gelu_backward.default(dactive, h, approximate="tanh")

    def dropped(self, x: Tensor, share: float) -> Tensor:
        return self.drop(x, share)[0]

    def added(self, x: Tensor, branch: Tensor, share: float) -> tuple[Tensor, Tensor | None]:
        branch, mask = self.drop(branch, share)
        return x + branch, mask

    def added_backward(
        self, dx: Tensor, kept: Tensor | None, share: float, dtype: torch.dtype
    ) -> Tensor:
        return self.drop_again(dx.to(dtype), kept, share)

    def attend(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> tuple:
        leaf = batch.to_grid(qkv).detach().requires_grad_()
        with torch.enable_grad():
            parts = leaf.view(batch.messages, batch.longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
            dropped = share if self.drops(share) else 0.0
            mixed = functional.scaled_dot_product_attention(
                *parts, dropout_p=dropped, is_causal=True
            )
            mixed = mixed.transpose(1, 2).reshape(batch.messages * batch.longest, -1)  # (B·T, C)
        into.copy_(batch.from_grid(mixed.detach()))
        return batch, leaf, mixed

    def attend_backward(self, dmixed: Tensor, kept: tuple, share: float) -> Tensor:
        batch, leaf, mixed = kept
        grid = batch.spread_to_grid(dmixed)
        return batch.from_grid(torch.autograd.grad(mixed, leaf, grid)[0])

    def attend_last(
        self, qkv: Tensor, batch: PackedBatch, heads: int, share: float, into: Tensor
    ) -> _Attended:
        width = qkv.shape[1] // 3
        k, v = _split_heads(qkv[:, width:], batch, 2, heads)
        q = qkv[:, :width].index_select(0, batch.last).to(k.dtype).view(len(k), 1, -1)
        hidden = _beyond(batch, heads, k.dtype)
        scores = torch.baddbmm(hidden, q, k.transpose(1, 2), alpha=_scale(q))
        probabilities = torch.softmax(scores, dim=-1)
        seen, mask = self.drop(probabilities, share)
        into.copy_(torch.bmm(seen, v).view(batch.messages, width))
        return _Attended(batch, q, k, v, probabilities, mask)

    def attend_last_backward(self, dmixed: Tensor, kept: _Attended, share: float) -> Tensor:
        batch, q, k, v, probabilities, mask = kept
        messages, width = dmixed.shape
        dtype, dmixed = dmixed.dtype, dmixed.to(q.dtype).reshape(q.shape)
        dv = torch.bmm(self.drop_again(probabilities, mask, share).transpose(1, 2), dmixed)
        dseen = torch.bmm(dmixed, v.transpose(1, 2))
        dscores = torch.ops.aten._softmax_backward_data.default(
            self.drop_again(dseen, mask, share), probabilities, -1, probabilities.dtype
        ) * _scale(q)
        dlast = torch.bmm(dscores, k).view(messages, width).to(dtype)
        dk = torch.bmm(dscores.transpose(1, 2), q)
        dkv = _join_heads(torch.stack([dk, dv]), batch, dtype)  # (N, 2C)
        dq = dkv.new_zeros(len(dkv), width).index_copy_(0, batch.last, dlast)
        return torch.cat([dq, dkv], dim=1)


def _scale(q: Tensor) -> float:
    return 1 / math.sqrt(q.shape[-1])


def _split_heads(x: Tensor, batch: PackedBatch, parts: int, heads: int) -> Tensor:
    """(N, parts·C) -> (parts, B·H, T, D), at least in float32."""
    grid = batch.to_grid(x).view(batch.messages, batch.longest, parts, heads, -1)
    by_head = grid.permute(2, 0, 3, 1, 4)
    wide = torch.promote_types(x.dtype, torch.float32)
    laid_out = torch.empty(by_head.shape, dtype=wide, device=x.device).copy_(by_head)
    return laid_out.flatten(1, 2)


def _join_heads(parts: Tensor, batch: PackedBatch, dtype: torch.dtype) -> Tensor:
    """The reverse: (parts, B·H, T, D) -> (N, parts·C)."""
    count, _, longest, depth = parts.shape
    by_head = parts.view(count, batch.messages, -1, longest, depth).permute(1, 3, 0, 2, 4)
    grid = torch.empty(by_head.shape, dtype=dtype, device=parts.device).copy_(by_head)
    return batch.from_grid(grid.view(batch.messages * longest, -1))


def _beyond(batch: PackedBatch, heads: int, dtype: torch.dtype) -> Tensor:  # (B·H, 1, T)
    """-inf at the places beyond each message's end, 0 elsewhere, for each of its heads."""
    places = torch.arange(batch.longest, device=batch.lengths.device)
    ended = places >= batch.lengths[:, None]
    scores = torch.zeros(ended.shape, dtype=dtype, device=ended.device)
    return scores.masked_fill_(ended, -torch.inf).repeat_interleave(heads, dim=0)[:, None]
