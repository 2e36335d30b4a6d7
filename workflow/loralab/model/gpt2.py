"""GPT-2, read top to bottom: embeddings, blocks, final norm, a head.

Query, key and value are three linear layers, so that adapters are planned, counted and trained on
each apart. The head is one more linear layer: onto the vocabulary for a language model (a copy of
the token embedding, untied), onto the labels for a classifier.

Shapes: B messages in a batch, T tokens in the longest, C the width, H heads of D = C / H.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from loralab.model.shapes import GPT2Shape

INITIAL_STD = 0.02  # GPT-2's standard deviation of initial weights
NORM_EPSILON = 1e-5


class Attention(nn.Module):
    """Causal self-attention: a position sees itself and those before it."""

    def __init__(self, shape: GPT2Shape, dropout: float):
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.width, shape.width)
        self.k_proj = nn.Linear(shape.width, shape.width)
        self.v_proj = nn.Linear(shape.width, shape.width)
        self.c_proj = nn.Linear(shape.width, shape.width)
        self.attention_dropout = nn.Dropout(dropout)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        q = self._by_head(self.q_proj(x))  # (B, H, T, D)
        k = self._by_head(self.k_proj(x))
        v = self._by_head(self.v_proj(x))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])  # (B, H, T, T)
        # Padding lies to the right of every message, so the causal mask alone hides it from every
        # real token.
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
        weights = self.attention_dropout(torch.softmax(scores, dim=-1))
        mixed = (weights @ v).transpose(1, 2).flatten(2)  # (B, T, C)
        return self.residual_dropout(self.c_proj(mixed))

    def _by_head(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, H, T, D)
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers around GELU, in its tanh form as GPT-2 has it."""

    def __init__(self, shape: GPT2Shape, dropout: float):
        super().__init__()
        self.c_fc = nn.Linear(shape.width, 4 * shape.width)
        self.c_proj = nn.Linear(4 * shape.width, shape.width)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        hidden = functional.gelu(self.c_fc(x), approximate="tanh")  # (B, T, 4C)
        return self.residual_dropout(self.c_proj(hidden))


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy and added back."""

    def __init__(self, shape: GPT2Shape, dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width, eps=NORM_EPSILON)
        self.attn = Attention(shape, dropout)
        self.ln_2 = nn.LayerNorm(shape.width, eps=NORM_EPSILON)
        self.mlp = FeedForward(shape, dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


def _embedding(entries: int, width: int) -> nn.Embedding:
    weight = torch.empty(entries, width)
    if not weight.is_meta:  # drawing on the meta device loads PyTorch's compiler, a second's work
        nn.init.normal_(weight)
    return nn.Embedding.from_pretrained(weight, freeze=False)


class GPT2(nn.Module):
    """The transformer and its head. Weights begin as PyTorch leaves them; see `initialise`."""

    def __init__(self, shape: GPT2Shape, dropout: float = 0.0):
        super().__init__()
        self.shape = shape
        self.base_sha256: str | None = None  # over the weights, where they were read from a file
        self.wte = _embedding(shape.vocabulary, shape.width)
        self.wpe = _embedding(shape.context, shape.width)
        self.embedding_dropout = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width, eps=NORM_EPSILON)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)

    def hidden_states(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T, C)
        """The final, normalised representation of every position.

        Raises ValueError where the ids are longer than the context.
        """
        length = ids.shape[1]
        if length > self.shape.context:
            raise ValueError(f"{length} tokens exceed the context of {self.shape.context}")
        positions = torch.arange(length, device=ids.device)
        x = self.embedding_dropout(self.wte(ids) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

    def forward(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T, outputs)
        """The head's logits at every position."""
        return self._apply_head(self.hidden_states(ids))

    def classify(self, ids: Tensor, lengths: Tensor) -> Tensor:  # (B, T), (B,) -> (B, labels)
        """The head's logits at each message's last real token, which `lengths` tell.

        The place comes from the length and never from the padding's id: a message may hold the
        token that pads. Raises ValueError where messages are not padded on the right.
        """
        self._check_padding(ids, lengths)
        hidden = self.hidden_states(ids)
        last = hidden[torch.arange(len(ids), device=ids.device), lengths - 1]  # (B, C)
        return self._apply_head(last)

    def _check_padding(self, ids: Tensor, lengths: Tensor) -> None:
        if ids.device.type != "cpu":
            return  # reading the answer back would stall a GPU
        beyond = torch.arange(ids.shape[1]) >= lengths[:, None]  # (B, T)
        if (ids[beyond] != self.shape.end_of_text).any() or not (lengths > 0).all():
            raise ValueError(
                "a message is not padded on the right: beyond its length there must be nothing but "
                f"the id {self.shape.end_of_text}, and a length is at least 1"
            )

    def _apply_head(self, hidden: Tensor) -> Tensor:
        # The head may be kept in a higher precision than the blocks.
        return self.head(hidden.to(self.head.weight.dtype))


def initialise(model: GPT2, generator: torch.Generator) -> None:
    """Draw GPT-2's initial weights: normal, narrower where a branch joins the residual stream.

    The head becomes a copy of the token embedding, as in a language model.
    """
    residual_std = INITIAL_STD / math.sqrt(2 * model.shape.layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.zero_()
            elif ".ln_" in name or name.startswith("ln_f"):
                parameter.fill_(1.0)
            else:
                std = residual_std if name.endswith("c_proj.weight") else INITIAL_STD
                parameter.normal_(0.0, std, generator=generator)
        model.head.weight.copy_(model.wte.weight)


def replace_head(
    model: GPT2, labels: int, bias: bool, generator: torch.Generator | None = None
) -> None:
    """Put a new, trainable head onto `labels` outputs in place of the present one.

    Its weights are uniform in ±1/√C as PyTorch's (and so the lab's) linear layers begin, in
    float32 whatever the blocks are in.
    """
    device = model.head.weight.device
    head = nn.Linear(model.shape.width, labels, bias=bias, device="meta")
    bound = 1 / math.sqrt(model.shape.width)
    for name, parameter in head.named_parameters():
        drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
        setattr(head, name, nn.Parameter(drawn.to(device)))
    model.head = head.train(model.training)
