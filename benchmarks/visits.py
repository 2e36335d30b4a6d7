"""Which batches a contestant takes in each visit, and what part of an epoch they are."""

from dataclasses import dataclass

import numpy as np
from loralab.training.batches import epoch_batches

from benchmarks.conditions import BATCH_SIZE, MAX_LENGTH, SEED

# How a contestant batches.
FIXED = "shuffled, padded to 256"
RANDOM = "shuffled, padded to the longest"
GROUPED = "grouped by length"
QUICKER = 4


@dataclass(frozen=True)
class Visit:
    """The batches to take, and their share of the epoch's work."""

    batches: list[np.ndarray]
    share: float


def plan_visit(lengths: np.ndarray, batching: str, number: int, rounds: int, steps: int) -> Visit:
    """The batches of visit `number`: from 1 to `rounds`, with 0 before them to warm up.

    Each visit has an epoch of its own, of which it takes all where `steps` suffice, else so many
    batches drawn evenly over those of the epoch sorted by work: work is tokens with padding. Where
    batches are not padded to 256, and so are several times quicker, it takes `QUICKER` times as
    many: the first step of a visit, after others had the caches, is not to weigh more.
    """
    grouped = batching == GROUPED
    steps *= 1 if batching == FIXED else QUICKER
    batches = epoch_batches(lengths, BATCH_SIZE, grouped, drop_last=True, seed=SEED, epoch=number)
    work = [len(rows) * _padded_length(lengths[rows], batching) for rows in batches]
    if steps >= len(batches):
        return Visit(batches, 1.0)
    chosen = _evenly(np.argsort(work, kind="stable"), number, rounds, steps)
    return Visit([batches[i] for i in chosen], sum(work[i] for i in chosen) / sum(work))


def _padded_length(lengths: np.ndarray, batching: str) -> int:
    return MAX_LENGTH if batching == FIXED else int(lengths.max())


def _evenly(ranked: np.ndarray, number: int, rounds: int, steps: int) -> list[int]:
    """One item from each of `steps` equal stretches of `ranked`, at a place that wanders.

    Over the rounds it wanders through the whole stretch, upwards in one and downwards in the next,
    so that no round has all the small batches: with 2 steps and 2 rounds, the items at 1/8 and 7/8
    in the first, at 3/8 and 5/8 in the second.
    """
    phase = ((number - 0.5) / rounds) % 1
    places = [(step + (1 - phase if step % 2 else phase)) / steps for step in range(steps)]
    return [int(ranked[int(place * len(ranked))]) for place in places]
