"""GPT-2 with adapters on packed tokens: the loss and its gradients, the backward pass written out.

It computes what `model/gpt2.py` and `model/lora.py` do, in another order of work: no padding but in
attention; query, key and value as one product; frozen weights kept in the products' dtype; in the
last block only the last token's attention, projection and feed-forward, as nothing else is read.

Shapes: N tokens of a batch, B messages, T tokens in the longest, C the width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.attention import (
    attend,
    attend_backward,
    beyond,
    join_heads,
    self_attention,
    self_attention_backward,
    split_heads,
)
from loralab.fast.dropout import NOTHING_DROPPED, Dropout
from loralab.fast.gelu import activate, activate_backward
from loralab.fast.layers import AdaptedLinear, LayerNorm
from loralab.fast.machine import rows_multiple
from loralab.fast.packing import PackedBatch
from loralab.fast.parameters import FlatParameters
from loralab.model.gpt2 import GPT2, Block
from loralab.model.lora import adapter_layers


class _FeedForward:
    """x ↦ x + the feed-forward branch of a block."""

    def __init__(self, block: Block, flat: FlatParameters | None, dtype: torch.dtype):
        self.norm = LayerNorm(block.ln_2)
        self.widen = AdaptedLinear([block.mlp.c_fc], flat, dtype)
        self.narrow = AdaptedLinear([block.mlp.c_proj], flat, dtype)
        self.dtype, self.dropout = dtype, block.mlp.residual_dropout.p

    def forward(
        self, x: Tensor, drop: Dropout, wants_tape: bool
    ) -> tuple[Tensor, tuple]:  # (N, C) -> (N, C)
        normed, norm = self.norm.forward(x)
        hidden, widen = self.widen.forward(normed, drop)
        active, gelu = activate(hidden, self.narrow.held, wants_tape)
        branch, narrow = self.narrow.forward_input(active, drop)
        branch, mask = drop.forward(branch, self.dropout, in_place=True)
        return x + branch, (norm, widen, gelu, narrow, mask)

    def backward(self, dx: Tensor, saved: tuple, drop: Dropout) -> Tensor:  # (N, C) -> (N, C)
        norm, widen, gelu, narrow, mask = saved
        dbranch = drop.backward(dx.to(self.dtype), mask, self.dropout)
        dhidden = activate_backward(self.narrow.backward(dbranch, narrow, drop), gelu)
        dnormed = self.widen.backward(dhidden, widen, drop)
        return self.norm.backward(dnormed.to(dx.dtype), norm).add_(dx)


class _Attention:
    """x ↦ x + the attention branch of a block."""

    def __init__(self, block: Block, flat: FlatParameters | None, dtype: torch.dtype):
        attn = block.attn
        self.norm, self.heads = LayerNorm(block.ln_1), attn.heads
        queries_keys_values = [attn.q_proj, attn.k_proj, attn.v_proj]
        self.qkv = AdaptedLinear(queries_keys_values, flat, dtype)
        self.project = AdaptedLinear([attn.c_proj], flat, dtype)
        self.dtype = dtype
        self.dropouts = attn.attention_dropout.p, attn.residual_dropout.p

    def forward(
        self, x: Tensor, batch: PackedBatch, drop: Dropout
    ) -> tuple[Tensor, tuple]:  # (N, C) -> (N, C)
        normed, norm = self.norm.forward(x)
        qkv, inputs = self.qkv.forward(normed, drop)  # (N, 3C)
        mixed, attended = self_attention(qkv, batch, self.heads, drop, self.dropouts[0])
        branch, outputs = self.project.forward(mixed, drop)
        branch, mask = drop.forward(branch, self.dropouts[1], in_place=True)
        return x + branch, (norm, inputs, attended, outputs, mask)

    def backward(self, dx: Tensor, saved: tuple, drop: Dropout, wants_dx: bool) -> Tensor | None:
        norm, inputs, attended, outputs, mask = saved
        dbranch = drop.backward(dx.to(self.dtype), mask, self.dropouts[1])
        dmixed = self.project.backward(dbranch, outputs, drop)
        dqkv = self_attention_backward(dmixed, attended, drop, self.dropouts[0])
        dnormed = self.qkv.backward(dqkv, inputs, drop, wants_dx)
        return self.norm.backward(dnormed.to(dx.dtype), norm).add_(dx) if wants_dx else None


class _LastAttention(_Attention):
    """The attention branch of the last block: of the queries, those of the last tokens alone.

    All of them are computed nevertheless: one product of the shape that the other blocks have takes
    no longer than two of other shapes, for which oneDNN would keep 5 MB for each number of rows.
    """

    def forward(
        self, x: Tensor, batch: PackedBatch, drop: Dropout
    ) -> tuple[Tensor, tuple]:  # (N, C) -> (B, C)
        normed, norm = self.norm.forward(x)
        qkv, inputs = self.qkv.forward(normed, drop)  # (N, 3C)
        q, kv = qkv.split([x.shape[1], 2 * x.shape[1]], dim=1)
        k, v = split_heads(kv, batch, 2, self.heads)
        q = q.index_select(0, batch.last).to(k.dtype).view(len(k), 1, -1)  # (B·H, 1, D)
        hidden = beyond(batch, self.heads, k.dtype)
        mixed, attended = attend(q, k, v, hidden, drop, self.dropouts[0])
        branch, outputs = self.project.forward(mixed.view(batch.messages, -1), drop)
        branch, mask = drop.forward(branch, self.dropouts[1], in_place=True)
        saved = (batch, norm, inputs, attended, outputs, mask)
        return x.index_select(0, batch.last) + branch, saved

    def backward(self, dx: Tensor, saved: tuple, drop: Dropout, wants_dx: bool) -> Tensor | None:
        batch, norm, inputs, attended, outputs, mask = saved
        dbranch = drop.backward(dx.to(self.dtype), mask, self.dropouts[1])
        dmixed = self.project.backward(dbranch, outputs, drop).to(dx.dtype)  # (B, C)
        dlast, dkv = torch.empty_like(attended.q), attended.k.new_empty(2, *attended.k.shape)
        into = (dlast, *dkv)
        attend_backward(dmixed.reshape(dlast.shape), attended, drop, self.dropouts[0], into)
        dkv = join_heads(dkv, batch, self.dtype)  # (N, 2C)
        dq = dkv.new_zeros(len(dkv), dx.shape[1])
        dq.index_copy_(0, batch.last, dlast.view(dx.shape).to(self.dtype))
        dnormed = self.qkv.backward(torch.cat([dq, dkv], dim=1), inputs, drop, wants_dx)
        if not wants_dx:
            return None
        dx_all = self.norm.backward(dnormed.to(dx.dtype), norm)
        return dx_all.index_add_(0, batch.last, dx)


class FastClassifier:
    """A classifier's logits on packed batches, and for training its loss and gradients.

    Args:
        model: a model without nested adapters or such of the variant `dora`. Its blocks' weights,
            and if it is to be trained its trainable parameters, become views of tensors here, or
            are empty until `release` where they are laid out otherwise.
        dtype: of the products, and so of the frozen weights.
        trained: whether gradients will be asked for: head and adapters, nothing else, are trained.
    """

    def __init__(self, model: GPT2, dtype: torch.dtype, trained: bool = True):
        self.model = model
        self.flat = FlatParameters(model, dtype) if trained else None
        self.wide = model.head.weight.dtype
        self.rows_multiple = rows_multiple(dtype)  # of a batch's tokens
        *blocks, last = model.h
        self.attentions = [_Attention(block, self.flat, dtype) for block in blocks]
        self.attentions.append(_LastAttention(last, self.flat, dtype))
        self.feed_forwards = [_FeedForward(block, self.flat, dtype) for block in model.h]
        self.norm = LayerNorm(model.ln_f)
        adapted = [place for place, block in enumerate(model.h) if any(adapter_layers(block))]
        self.first_adapted = adapted[0] if adapted else len(model.h)

    def refresh(self) -> None:
        """Take over the adapters' present values."""
        self.flat.refresh()
        for layer in self._layers():
            layer.refresh()

    def release(self) -> None:
        """Give the model its weights again, and each trained parameter a tensor of its own."""
        self.flat.release()
        for layer in self._layers():
            layer.held.give_back()

    def _layers(self) -> Iterator[AdaptedLinear]:
        for part in (*self.attentions, *self.feed_forwards):
            yield from (e for e in vars(part).values() if isinstance(e, AdaptedLinear))

    @torch.no_grad()
    def logits(self, batch: PackedBatch) -> Tensor:  # -> (B, labels)
        """Without dropout. `refresh` must have been called since adapters changed."""
        hidden, _ = self._hidden(batch, NOTHING_DROPPED, len(self.attentions), [])
        return self.model.head(hidden)

    @torch.no_grad()
    def add_gradients(
        self, batch: PackedBatch, labels: Tensor, shares: Tensor, drop: Dropout
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of the messages' losses, each times its share; their sum, and logits.

        Shares (B,) of 1/B make it the mean. `refresh` must have been called since adapters changed.
        """
        tape: list[tuple] = []
        hidden, norm = self._hidden(batch, drop, self.first_adapted, tape)
        loss, logits, dhidden = self._head(hidden, labels, shares)
        if tape:
            self._backward(self.norm.backward(dhidden, norm), tape, drop)
            self.flat.add_work_gradients()
        return loss, logits

    def _hidden(
        self, batch: PackedBatch, drop: Dropout, taped_from: int, tape: list[tuple]
    ) -> tuple[Tensor, tuple]:  # -> (B, C)
        """The final, normalised representation of each message's last token.

        What the backward passes of the blocks from `taped_from` on need is put on the tape.
        """
        tokens = functional.embedding(batch.ids, self.model.wte.weight).to(self.wide)
        x = tokens + functional.embedding(batch.positions, self.model.wpe.weight)
        x, _ = drop.forward(x, self.model.embedding_dropout.p)
        for place, parts in enumerate(zip(self.attentions, self.feed_forwards, strict=True)):
            attention, feed_forward = parts
            x, attended = attention.forward(x, batch, drop)
            x, fed = feed_forward.forward(x, drop, place >= taped_from)
            if place >= taped_from:
                tape.append((attended, fed))
        return self.norm.forward(x)

    def _head(self, hidden: Tensor, labels: Tensor, shares: Tensor):
        """The loss, the logits, and the gradient of `hidden`; that of the head is added."""
        head = self.model.head
        logits = functional.linear(hidden, head.weight, head.bias)  # (B, labels)
        logs = torch.log_softmax(logits, dim=-1)
        truth = labels[:, None] == torch.arange(logits.shape[-1], device=labels.device)
        loss = -((logs * truth).sum(dim=-1) * shares).sum()
        dlogits = (logs.exp() - truth.to(logs.dtype)) * shares[:, None]
        head.weight.grad.addmm_(dlogits.t(), hidden)
        if head.bias is not None:
            head.bias.grad.add_(dlogits.sum(dim=0))
        return loss, logits, dlogits @ head.weight

    def _backward(self, dx: Tensor, tape: list[tuple], drop: Dropout) -> None:
        """From the last block down to the first that has adapters."""
        for place in reversed(range(self.first_adapted, len(self.attentions))):
            attended, fed = tape.pop()
            dx = self.feed_forwards[place].backward(dx, fed, drop)
            dx = self.attentions[place].backward(dx, attended, drop, place > self.first_adapted)
