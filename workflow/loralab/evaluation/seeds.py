"""Results over several seeds: their spread, and two arms of a sweep on the same messages."""

from math import sqrt
from statistics import fmean, stdev

import numpy as np
from scipy.special import stdtrit

from loralab.evaluation.comparison import check_same_messages, paired_permutation
from loralab.evaluation.resampling import percentile_interval, resampled_weights
from loralab.randomness import stream_seed


def seed_interval(values: list[float]) -> dict:
    """Mean and spread of one number over trainings that differ in their seed alone.

    Returns `n`, `mean`, `sd` (n - 1 in its divisor), `ci95`, Student's interval of the mean
    (Student, 1908), which may reach beyond 0 or 1, and `remark`, a sentence or None. Of one value
    `sd` and `ci95` are None, of none the mean too. The interval is of what another seed would give
    on these very messages.
    """
    n = len(values)
    mean = fmean(values) if n else None
    if n < 2:
        remark = "one seed shows no spread" if n else "there are no trainings"
        return {"n": n, "mean": mean, "sd": None, "ci95": None, "remark": remark}
    sd = stdev(values)
    half = float(stdtrit(n - 1, 0.975)) * sd / sqrt(n)
    remark = None if sd else f"all {n} seeds gave the same value"
    return {"n": n, "mean": mean, "sd": sd, "ci95": [mean - half, mean + half], "remark": remark}


def accuracy_over_seeds(correct: np.ndarray, seed: int, resamples: int = 1000) -> dict:
    """Mean accuracy of one arm of a sweep, over trainings and over messages.

    Args:
        correct: (seeds, n) whether each training was right on each message.
        seed: of the experiment.

    Returns what `seed_interval` does of the accuracies, and `ci95_messages`, the interval that
    resamples seeds and messages both, as `paired_over_seeds` does; None of fewer than two messages.
    """
    seeds, n = correct.shape
    accuracies = [float(row.mean()) for row in correct] if n else []
    both = None
    if seeds and n > 1:
        both = percentile_interval(_resampled_accuracies([correct], seed, resamples)[0])
    return seed_interval(accuracies) | {"ci95_messages": both}


def paired_over_seeds(
    first: np.ndarray,
    second: np.ndarray,
    seed: int,
    resamples: int = 1000,
    permutations: int = 10_000,
) -> dict:
    """The mean accuracy of one arm of a sweep less that of another, on the same messages.

    Args:
        first, second: (seeds, n) whether each training of each arm was right on each message. The
            arms may have different numbers of seeds: equal seeds are not taken as pairs.
        seed: of the experiment.

    Returns `difference`, None where there is nothing to average; `ci95`, `p_value`, `exact` and
    `permutations`; `remark`, a sentence where the interval is missing or accounts for less than it
    should, else None. Raises LoralabError where the messages are not as many.

    What accounts for what. `ci95` resamples the messages (the same for both arms) and the seeds of
    each arm, so it is of the difference that other messages and other trainings would give: the
    bootstrap of crossed factors (Owen, 2007), which is wide rather than narrow. Of S seeds S - 1
    are drawn, which makes the variance of their mean what it is (McCarthy and Snowden, 1985); that
    two or three seeds hardly tell their spread at all, it does not mend.
    `p_value` is `paired_permutation` of each message's accuracy averaged over the seeds: it is of
    these very trainings on other messages. It can be small where the arms differ by the luck of a
    few trainings, so that where seeds vary more than messages do, the interval is what to trust.
    """
    check_same_messages(first, second)
    if 0 in (*first.shape, *second.shape):
        nothing = dict.fromkeys(("difference", "ci95", "p_value", "exact"))
        return nothing | {"permutations": 0, "remark": "there are no messages or no trainings"}
    test = paired_permutation(first.mean(axis=0), second.mean(axis=0), seed, permutations)
    interval = None
    if first.shape[1] > 1:
        ours, theirs = _resampled_accuracies([first, second], seed, resamples)
        interval = percentile_interval(ours - theirs)
    return {**test, "ci95": interval, "remark": _remark(first, second)}


def _resampled_accuracies(arms: list[np.ndarray], seed: int, resamples: int) -> list[np.ndarray]:
    """Mean accuracy (resamples,) of each arm, seeds of each and messages of all drawn again."""
    generator = np.random.default_rng(stream_seed(seed, "evaluation/over_seeds"))
    chosen = [_resampled_shares(generator, len(arm), resamples) for arm in arms]
    n = arms[0].shape[1]
    # Each resample's accuracy of every training on its messages: (resamples, seeds) for each arm.
    blocks = [
        [np.einsum("bn,sn->bs", weights, arm.astype(float)) / n for arm in arms]
        for weights in resampled_weights(generator, n, resamples)
    ]
    accuracies = [np.concatenate(of_arm) for of_arm in zip(*blocks, strict=True)]
    return [(c * a).sum(axis=1) for c, a in zip(chosen, accuracies, strict=True)]


def _resampled_shares(generator: np.random.Generator, seeds: int, resamples: int) -> np.ndarray:
    """The share that each training has in the mean of each resample: (resamples, seeds)."""
    draws = max(1, seeds - 1)
    return np.concatenate(list(resampled_weights(generator, seeds, resamples, draws))) / draws


def _remark(first: np.ndarray, second: np.ndarray) -> str | None:
    if first.shape[1] == 1:
        return "one message cannot be resampled"
    if min(len(first), len(second)) == 1:
        return "an arm has one training: the interval leaves out what another seed would give it"
    if (first == first[0]).all() and (second == first[0]).all():
        return f"no training differs from another on these {first.shape[1]} messages"
    return None
