"""What is the same for all contestants."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository

BATCH_SIZE = 8  # messages an optimiser step
MAX_LENGTH = 256  # tokens at which a message is cut, and to which the lab pads
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.01
GRADIENT_CLIP = 1.0
RANK, ALPHA = 8, 16
SEED = 123


@dataclass(frozen=True)
class Conditions:
    """Where and how contestants train, beside the constants above."""

    device: str  # cpu or cuda
    dropout: float  # of embeddings, attention weights and residual branches
    threads: int  # CPU threads of torch
