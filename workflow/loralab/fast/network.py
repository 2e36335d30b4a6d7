"""GPT-2 with adapters on packed tokens: the loss and its gradients, the backward pass written out.

It computes what `model/gpt2.py` and `model/lora.py` do, in another order of work: no padding but in
attention; query, key and value as one product; frozen weights kept in the products' dtype; in the
last block only the last token's attention, projection and feed-forward, as nothing else is read.

Shapes: N tokens of a batch, B messages, T tokens in the longest, C the width.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from loralab.fast.extended_linear import ExtendedLinear
from loralab.fast.layers import AdaptedLinear, LayerNorm, Layers
from loralab.fast.machine import can_compile, rows_multiple
from loralab.fast.packing import PackedBatch
from loralab.fast.parameters import FlatParameters
from loralab.fast.passes import Passes
from loralab.fast.torch_passes import TorchPasses
from loralab.kernels.declared import MOST_SHARES
from loralab.model.gpt2 import GPT2, Block
from loralab.model.lora import adapter_layers

MakeLinear = Callable[[Layers], AdaptedLinear]


class _FeedForward:
    """x ↦ x + the feed-forward branch of a block."""

    def __init__(self, block: Block, linear: MakeLinear, dtype: torch.dtype):
        self.norm = LayerNorm(block.ln_2)
        self.widen = linear([block.mlp.c_fc])
        self.narrow = linear([block.mlp.c_proj])
        self.dtype, self.dropout = dtype, block.mlp.residual_dropout.p

    def forward(self, x: Tensor, passes: Passes) -> tuple[Tensor, tuple]:  # (N, C) -> (N, C)
        normed = self.widen.room(len(x))
        norm = passes.norm(x, self.norm, normed.x)
        hidden, widen = self.widen.forward(normed, passes)
        active = self.narrow.room(len(x))
        passes.gelu(hidden, active.x)
        branch, narrow = self.narrow.forward(active, passes)
        x, kept = passes.added(x, branch, self.dropout)
        return x, (norm, widen, hidden, narrow, kept)

    def backward(self, dx: Tensor, saved: tuple, passes: Passes) -> Tensor:  # (N, C) -> (N, C)
        norm, widen, hidden, narrow, kept = saved
        dbranch = passes.added_backward(dx, kept, self.dropout, self.dtype)
        dhidden = passes.gelu_backward(self.narrow.backward(dbranch, narrow, passes), hidden)
        dnormed = self.widen.backward(dhidden, widen, passes)
        return passes.norm_backward(dnormed, self.norm, norm, dx)


class _Attention:
    """x ↦ x + the attention branch of a block."""

    def __init__(self, block: Block, linear: MakeLinear, dtype: torch.dtype):
        attn = block.attn
        self.norm, self.heads = LayerNorm(block.ln_1), attn.heads
        queries_keys_values = [attn.q_proj, attn.k_proj, attn.v_proj]
        self.qkv = linear(queries_keys_values)
        self.project = linear([attn.c_proj])
        self.dtype = dtype
        self.attention_dropout, self.dropout = attn.attention_dropout.p, attn.residual_dropout.p

    def forward(
        self, x: Tensor, batch: PackedBatch, passes: Passes
    ) -> tuple[Tensor, tuple]:  # (N, C) -> (N, C)
        qkv, norm, inputs = self._queries_keys_values(x, passes)
        mixed = self.project.room(len(x))
        attended = passes.attend(qkv, batch, self.heads, self.attention_dropout, mixed.x)
        branch, outputs = self.project.forward(mixed, passes)
        x, kept = passes.added(x, branch, self.dropout)
        return x, (norm, inputs, attended, outputs, kept)

    def _queries_keys_values(self, x: Tensor, passes: Passes) -> tuple[Tensor, tuple, tuple]:
        normed = self.qkv.room(len(x))
        norm = passes.norm(x, self.norm, normed.x)
        qkv, inputs = self.qkv.forward(normed, passes)  # (N, 3C)
        return qkv, norm, inputs

    def backward(self, dx: Tensor, saved: tuple, passes: Passes, wants_dx: bool) -> Tensor | None:
        norm, inputs, attended, outputs, kept = saved
        dbranch = passes.added_backward(dx, kept, self.dropout, self.dtype)
        dmixed = self.project.backward(dbranch, outputs, passes)
        dqkv = passes.attend_backward(dmixed, attended, self.attention_dropout)
        dnormed = self.qkv.backward(dqkv, inputs, passes, wants_dx)
        return passes.norm_backward(dnormed, self.norm, norm, dx) if wants_dx else None


class _LastAttention(_Attention):
    """The attention branch of the last block: of the queries, those of the last tokens alone.

    All of them are computed nevertheless: one product of the shape that the other blocks have takes
    no longer than two of other shapes, for which oneDNN would keep 5 MB for each number of rows.
    """

    def forward(
        self, x: Tensor, batch: PackedBatch, passes: Passes
    ) -> tuple[Tensor, tuple]:  # (N, C) -> (B, C)
        qkv, norm, inputs = self._queries_keys_values(x, passes)
        mixed = self.project.room(batch.messages)
        attended = passes.attend_last(qkv, batch, self.heads, self.attention_dropout, mixed.x)
        branch, outputs = self.project.forward(mixed, passes)
        y, kept = passes.added(x.index_select(0, batch.last), branch, self.dropout)
        return y, (batch, norm, inputs, attended, outputs, kept)

    def backward(self, dx: Tensor, saved: tuple, passes: Passes, wants_dx: bool) -> Tensor | None:
        batch, norm, inputs, attended, outputs, kept = saved
        dbranch = passes.added_backward(dx, kept, self.dropout, self.dtype)
        dmixed = self.project.backward(dbranch, outputs, passes)  # (B, C)
        dqkv = passes.attend_last_backward(dmixed, attended, self.attention_dropout)
        dnormed = self.qkv.backward(dqkv, inputs, passes, wants_dx)
        if not wants_dx:
            return None
        dx_all = dx.new_zeros(dnormed.shape).index_copy_(0, batch.last, dx)
        return passes.norm_backward(dnormed, self.norm, norm, dx_all)


class FastClassifier:
    """A classifier's logits on packed batches, and for training its loss and gradients.

    Args:
        model: a model without nested adapters or such of the variant `dora`. Its blocks' weights,
            and if it is to be trained its trainable parameters, become views of tensors here, or
            are empty until `release` where they are laid out otherwise.
        dtype: of the products, and so of the frozen weights.
        trained: whether gradients will be asked for: head and adapters, nothing else, are trained.
        is_captured: whether steps will be recorded as a GPU's graph, of PyTorch's operators alone.
    """

    def __init__(
        self, model: GPT2, dtype: torch.dtype, trained: bool = True, is_captured: bool = False
    ):
        self.model = model
        self.dtype, self.wide = dtype, model.head.weight.dtype
        self.rows_multiple = rows_multiple(dtype)  # of a batch's tokens
        self.threads = torch.get_num_threads()
        self.is_compiled = not is_captured and can_compile(model.head.weight.device)
        self.flat = self._flat() if trained else None
        linear = self._linear()
        *blocks, last = model.h
        self.attentions = [_Attention(block, linear, dtype) for block in blocks]
        self.attentions.append(_LastAttention(last, linear, dtype))
        self.feed_forwards = [_FeedForward(block, linear, dtype) for block in model.h]
        self.multiplier = self.attentions[0].qkv.multiplier  # by name
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
            layer.give_back()

    def _flat(self) -> FlatParameters:
        if self.is_compiled:
            return FlatParameters(self.model, self.wide, min(self.threads, MOST_SHARES))
        return FlatParameters(self.model, self.dtype)

    # What is compiled wants Numba, which a machine with a GPU may not have: imported when needed.

    def _linear(self) -> MakeLinear:
        if not self.is_compiled:
            return partial(ExtendedLinear, flat=self.flat, dtype=self.dtype)
        from loralab.fast.compiled_linear import CompiledLinear

        return partial(CompiledLinear, flat=self.flat, dtype=self.dtype)

    def passes(self, seed: int | None = None) -> Passes:
        """The passes of a step; without a seed for its dropout nothing is dropped.

        Those by PyTorch draw from its generator, which is seeded for it.
        """
        if not self.is_compiled:
            if seed is not None:
                torch.manual_seed(seed)
            return TorchPasses(is_dropping=seed is not None)
        from loralab.fast.compiled_passes import CompiledPasses

        return CompiledPasses(self.dtype, self.wide, self.threads, seed)

    def _layers(self) -> Iterator[AdaptedLinear]:
        for part in (*self.attentions, *self.feed_forwards):
            yield from (e for e in vars(part).values() if isinstance(e, AdaptedLinear))

    @torch.no_grad()
    def logits(self, batch: PackedBatch) -> Tensor:  # -> (B, labels)
        """Without dropout. `refresh` must have been called since adapters changed."""
        hidden, _ = self._hidden(batch, self.passes(), len(self.attentions), [])
        return self.model.head(hidden)

    @torch.no_grad()
    def add_gradients(
        self, batch: PackedBatch, labels: Tensor, shares: Tensor, passes: Passes
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of the messages' losses, each times its share; their sum, and logits.

        Shares (B,) of 1/B make it the mean. `refresh` must have been called since adapters changed.
        """
        tape: list[tuple] = []
        hidden, norm = self._hidden(batch, passes, self.first_adapted, tape)
        loss, logits, dhidden = self._head(hidden, labels, shares)
        if tape:
            self._backward(self.norm.backward(dhidden, norm), tape, passes)
            self.flat.add_work_gradients()
        return loss, logits

    def _hidden(
        self, batch: PackedBatch, passes: Passes, taped_from: int, tape: list[tuple]
    ) -> tuple[Tensor, tuple]:  # -> (B, C)
        """The final, normalised representation of each message's last token.

        What the backward passes of the blocks from `taped_from` on need is put on the tape.
        """
        tokens = functional.embedding(batch.ids, self.model.wte.weight).to(self.wide)
        x = tokens + functional.embedding(batch.positions, self.model.wpe.weight)
        x = passes.dropped(x, self.model.embedding_dropout.p)
        for place, parts in enumerate(zip(self.attentions, self.feed_forwards, strict=True)):
            attention, feed_forward = parts
            x, attended = attention.forward(x, batch, passes)
            x, fed = feed_forward.forward(x, passes)
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

    def _backward(self, dx: Tensor, tape: list[tuple], passes: Passes) -> None:
        """From the last block down to the first that has adapters."""
        for place in reversed(range(self.first_adapted, len(self.attentions))):
            attended, fed = tape.pop()
            dx = self.feed_forwards[place].backward(dx, fed, passes)
            dx = self.attentions[place].backward(dx, attended, passes, place > self.first_adapted)
