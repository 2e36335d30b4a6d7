"""The lab's recipe as one writes it from the lab's statement, in float32.

Every message is padded to 256 tokens, query, key and value are three layers, attention is written
out, LoRA stands beside each linear layer, logits are read at the last real token, and the running
loss and accuracy are read at every step.
"""

import math

import numpy as np
import torch
from loralab.training.labelled import LabelledTexts
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.conditions import (
    ALPHA,
    GRADIENT_CLIP,
    LEARNING_RATE,
    MAX_LENGTH,
    RANK,
    WEIGHT_DECAY,
    Conditions,
)

VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS = 50257, 1024, 768, 12, 12
END_OF_TEXT = 50256
LABELS = 2
INITIAL_STD = 0.02


class LoRA(nn.Module):
    """x ↦ (alpha / rank) · B·A·x."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.A = nn.Parameter(torch.empty(RANK, in_features))
        self.B = nn.Parameter(torch.zeros(out_features, RANK))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return ALPHA / RANK * (x @ self.A.T @ self.B.T)


class LinearWithLoRA(nn.Module):
    """A linear layer with LoRA beside it."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear = linear
        self.lora = LoRA(linear.in_features, linear.out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.lora(x)


class Attention(nn.Module):
    """Causal attention of several heads."""

    def __init__(self, dropout: float):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(dropout)
        future = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1)
        self.register_buffer("future", future)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        batch, length, _ = x.shape
        query, key, value = (
            layer(x).view(batch, length, HEADS, -1).transpose(1, 2)  # (B, H, T, D)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)  # (B, H, T, T)
        scores = scores.masked_fill(self.future[:length, :length], -torch.inf)
        weights = self.dropout(torch.softmax(scores, dim=-1))
        mixed = (weights @ value).transpose(1, 2).reshape(batch, length, WIDTH)
        return self.project(mixed)


class Block(nn.Module):
    """Attention and feed-forward, each with a norm before it and a shortcut around it."""

    def __init__(self, dropout: float):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(approximate="tanh"), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.feed_forward(self.norm2(x)))


class GPT(nn.Module):
    """GPT-2 124M with a head at every position."""

    def __init__(self, dropout: float):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(dropout) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, LABELS)

    def forward(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T, labels)
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.dropout(self.tokens(ids) + self.positions(places))
        return self.head(self.norm(self.blocks(x)))


def inject(module: nn.Module) -> None:
    """Put LoRA beside every linear layer below `module`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, LinearWithLoRA(child))
        else:
            inject(child)


def build_model(dropout: float) -> GPT:
    """Random weights, all frozen but LoRA and the head."""
    model = GPT(dropout)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=INITIAL_STD)
    model.requires_grad_(False)
    inject(model.blocks)
    model.head.requires_grad_(True)
    return model


class LabLoop:
    """The lab's training loop."""

    def __init__(self, train: LabelledTexts, conditions: Conditions):
        self.device = torch.device(conditions.device)
        texts = train.texts
        self.ids = torch.full((len(train), MAX_LENGTH), END_OF_TEXT)
        for row, length in enumerate(texts.lengths):
            start = texts.offsets[row]
            self.ids[row, :length] = torch.from_numpy(texts.tokens[start : start + length])
        self.last = torch.from_numpy(texts.lengths - 1)
        self.labels = torch.from_numpy(train.labels)
        self.model = build_model(conditions.dropout).to(self.device).train()
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trainable, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        self.loss, self.correct = 0.0, 0

    def take(self, batches: list[np.ndarray]) -> None:
        """One optimiser step on each batch."""
        for rows in batches:
            self.step(rows)

    def step(self, rows: np.ndarray) -> None:
        """One optimiser step on the messages in `rows`."""
        ids = self.ids[rows].to(self.device)
        last = self.last[rows].to(self.device)
        labels = self.labels[rows].to(self.device)
        self.optimizer.zero_grad()
        logits = self.model(ids)[torch.arange(len(rows), device=self.device), last]
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trainable, GRADIENT_CLIP)
        self.optimizer.step()
        self.loss += loss.item()
        self.correct += (logits.argmax(dim=-1) == labels).sum().item()
