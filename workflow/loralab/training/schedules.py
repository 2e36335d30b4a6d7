"""Learning rates as a factor of their peak, step by step."""

import math


def learning_rate_factor(step: int, steps: int, schedule: str, warmup: float) -> float:
    """The factor at `step` (from 0) of `steps`: a linear rise, then the schedule down to 0.

    `schedule` is constant (no descent), linear or cosine; `warmup` is the share of the steps that
    the rise takes.
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / rise
    progress = (step - rise) / max(1, steps - rise)
    if schedule == "linear":
        return 1 - progress
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    return 1.0
