"""The named random streams of an experiment's seed, as generators of torch."""

import torch

from loralab.randomness import stream_seed


def generator(seed: int, stream: str) -> torch.Generator:
    """A generator on the CPU for one named stream of the experiment's seed."""
    return torch.Generator().manual_seed(stream_seed(seed, stream))
