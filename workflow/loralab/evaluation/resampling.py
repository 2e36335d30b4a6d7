"""Bootstrap intervals: how far a metric moves when the messages are drawn again.

The messages are resampled with replacement, as many as there are, and the interval is that between
the 2.5 and 97.5 % quantiles of what the metric becomes (Efron, 1979: the percentile method). The
trained model stays as it is: what another training would give is not in these intervals.
"""

from collections.abc import Iterator

import numpy as np

from loralab.evaluation.metrics import SCALARS
from loralab.evaluation.weighted_metrics import MessageTerms, message_terms, weighted_metrics
from loralab.randomness import stream_seed

CELLS = 1 << 18  # of a block of weights: 2 MiB of float64, which stay in the cache
LEVELS = (0.025, 0.975)
ROUNDING = 1e-12  # values that differ by less are the same
FEWEST = 40  # resamples without which no 2.5 % of them can be left out at either end


def resampled_weights(
    generator: np.random.Generator, n: int, resamples: int, draws: int | None = None
) -> Iterator[np.ndarray]:
    """Blocks (b, n) of weights: how often each of n messages is in each of `resamples` resamples.

    A resample is of `draws` messages, of n where that is None. However the blocks are cut, the
    weights are the same.
    """
    rows = max(1, CELLS // n)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = generator.integers(0, n, size=(block, draws or n))
        drawn += n * np.arange(block)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=block * n)
        yield counts.reshape(block, n).astype(np.float64)


def percentile_interval(values: np.ndarray) -> list[float] | None:
    """The 2.5 and 97.5 % quantiles of (resamples,) values, NaN left out; None of too few."""
    kept = values[~np.isnan(values)]
    if len(kept) < FEWEST:
        return None
    low, high = np.quantile(kept, LEVELS)
    return [float(low), float(high)]


def bootstrap_intervals(
    probabilities: np.ndarray,
    truth: np.ndarray,
    labels: list[str],
    seed: int,
    resamples: int = 1000,
) -> dict[str, dict]:
    """95 % percentile intervals of every scalar metric that `metrics.evaluate` gives.

    Args:
        probabilities: (n, labels), rows that add up to 1.
        truth: (n,) index of each true label.
        labels: names, in order; of two, the second is the positive class.
        seed: of the experiment. Systems on the same messages are resampled alike.
        resamples: how many; in memory a few blocks of `CELLS` numbers, whatever n.

    Returns `intervals` {metric: [low, high] or None}; `used` {metric: how many resamples count},
    fewer than all where a label is absent from some and the metric therefore undefined in them; and
    `remarks` {metric: a sentence}, of those only whose interval is None or is to be read with care.

    Where `evaluate` takes 0 for 0/0 (precision of a label never predicted, recall of one that never
    occurs), so does each resample.
    """
    n = len(truth)
    if n < 2:
        return _nothing_to_resample(n)
    terms = message_terms(probabilities, truth)
    values = _resampled_metrics(terms, n, seed, resamples)
    own = weighted_metrics(terms, np.ones((1, n)))
    absent = [label for place, label in enumerate(labels) if not (truth == place).any()]
    intervals = {name: percentile_interval(values[name]) for name in SCALARS}
    remarks = {name: _remark(own[name][0], values[name], absent) for name in SCALARS}
    return {
        "intervals": intervals,
        "used": {name: int((~np.isnan(values[name])).sum()) for name in SCALARS},
        "remarks": {name: remark for name, remark in remarks.items() if remark},
    }


def _resampled_metrics(
    terms: MessageTerms, n: int, seed: int, resamples: int
) -> dict[str, np.ndarray]:
    """Each metric of every resample, (resamples,)."""
    generator = np.random.default_rng(stream_seed(seed, "evaluation/bootstrap"))
    blocks = [weighted_metrics(terms, w) for w in resampled_weights(generator, n, resamples)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in SCALARS}


def _nothing_to_resample(n: int) -> dict[str, dict]:
    sentence = "one message cannot be resampled" if n else "there are no messages"
    return {
        "intervals": dict.fromkeys(SCALARS),
        "used": dict.fromkeys(SCALARS, 0),
        "remarks": dict.fromkeys(SCALARS, sentence),
    }


def _remark(own: float, values: np.ndarray, absent: list[str]) -> str | None:
    """What to know about a metric's interval, if anything, from its (resamples,) values."""
    if np.isnan(own):
        return f"no message is labelled {' or '.join(absent)}"
    resamples, used = len(values), int((~np.isnan(values)).sum())
    interval = percentile_interval(values)
    if interval is None:
        return f"{used} of {resamples} resamples could be used, too few for an interval"
    low, high = interval
    if high - low < ROUNDING:
        return "every resample gave the same value, which says nothing of messages not seen"
    if not low - ROUNDING <= own <= high + ROUNDING:
        return "the value lies outside its interval: repeated messages alone move this metric"
    if used < resamples:
        return f"a label was absent from {resamples - used} of {resamples} resamples, left out"
    return None
