"""Two systems on the same messages: what separates them is where they disagree.

Every test here takes the trained systems as they are and asks whether their difference would hold
on other messages like these; whether it would hold after another training is asked in `seeds`.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from loralab.errors import LoralabError
from loralab.evaluation.metrics import log_losses
from loralab.evaluation.resampling import ROUNDING, percentile_interval
from loralab.randomness import stream_seed

ENUMERATED = 14  # messages that differ, of which all 2**14 exchanges are looked at
CELLS = 1 << 20  # of a block of exchanges: 8 MiB of float64


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict:
    """McNemar's exact test (McNemar, 1947) of two systems on the same messages.

    Args:
        first, second: (n,) whether each system was right on each message.

    Returns `only_first_right` and `only_second_right`, the messages on which they disagree, and
    `p_value`, two-sided: how often a fair coin splits that many at least as unevenly; 1 where they
    never disagree. Raises LoralabError where the messages are not as many.
    """
    check_same_messages(first, second)
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    disagreed, fewer = only_first + only_second, min(only_first, only_second)
    tail = _ways_up_to(fewer, disagreed) / 2**disagreed
    return {
        "only_first_right": only_first,
        "only_second_right": only_second,
        "p_value": min(1.0, 2 * tail),
    }


def accuracy_difference(
    first: np.ndarray, second: np.ndarray, seed: int, resamples: int = 1000
) -> dict:
    """The accuracy of the first system less that of the second, with a paired bootstrap interval.

    Args:
        first, second: (n,) whether each system was right on each message.
        seed: of the experiment.

    Returns `difference`, None of no messages; `ci95`, by percentiles over resampled messages; and
    `remark`, a sentence where the interval is missing or says nothing, else None. Raises
    LoralabError where the messages are not as many.
    """
    check_same_messages(first, second)
    n = len(first)
    if n < 2:
        difference = float(first[0]) - float(second[0]) if n else None
        remark = "one message cannot be resampled" if n else "there are no messages"
        return {"difference": difference, "ci95": None, "remark": remark}
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    # A resample is only its numbers of messages won, lost and drawn.
    generator = np.random.default_rng(stream_seed(seed, "evaluation/accuracy_difference"))
    shares = np.array([won, lost, n - won - lost]) / n
    counts = generator.multinomial(n, shares, size=resamples)
    interval = percentile_interval((counts[:, 0] - counts[:, 1]) / n)
    remark = None if won + lost else f"the systems never disagree on these {n} messages"
    return {"difference": (won - lost) / n, "ci95": interval, "remark": remark}


def paired_permutation(
    first: np.ndarray, second: np.ndarray, seed: int, permutations: int = 10_000
) -> dict:
    """Paired permutation test of the mean difference of two systems' scores (Fisher, 1935).

    If it made no difference which system a message's score came from, each difference would have
    either sign alike.

    Args:
        first, second: (n,) a score of each message (its log loss, its squared error, whether it
            was right).
        seed: of the experiment.
        permutations: drawn at random where the scores of more than `ENUMERATED` messages differ;
            of fewer, every exchange is looked at.

    Returns `difference` of the means, None of no messages; `p_value`, two-sided; `exact`, whether
    it is from all exchanges; `permutations`, how many those were. Of drawn ones the observed
    difference counts as one more, so that p is never 0 (Phipson and Smyth, 2010). Raises
    LoralabError where the messages are not as many.
    """
    check_same_messages(first, second)
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    differing = differences[differences != 0]

    def totals(exchanged: np.ndarray) -> np.ndarray:
        return differing.sum() - 2 * (exchanged @ differing)

    scale = float(np.abs(differing).sum())
    found = _exchange_test(totals, len(differing), scale, seed, permutations)
    mean = float(differences.mean()) if len(differences) else None
    return {"difference": mean, **found}


def permutation_of_f1(
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    labels: list[str],
    seed: int,
    permutations: int = 10_000,
) -> dict:
    """Paired permutation test of the difference of two systems' F1 (as Yeh, 2000).

    As `paired_permutation`, but what is exchanged, message by message, is the predictions; F1 is
    that of `metrics.evaluate`, of the second of two labels and the mean over more.

    Args:
        first, second: (n,) index of the label that each system predicted.
        truth: (n,) index of each true label.
    """
    check_same_messages(first, second)
    check_same_messages(first, truth)
    differs = first != second
    columns = np.array([1] if len(labels) == 2 else range(len(labels)))
    predicted = np.stack([first, second])[:, :, None] == columns  # (2, n, c)
    occurs = truth[:, None] == columns  # (n, c)
    hits, sizes = (predicted & occurs).astype(float), predicted.astype(float) + occurs
    # An exchanged message takes its hits and its predictions from one system to the other.
    moving_hits, moving_sizes = ((part[1] - part[0])[differs] for part in (hits, sizes))
    hits, sizes = hits.sum(axis=1), sizes.sum(axis=1)  # (2, c)

    def difference(exchanged: np.ndarray) -> np.ndarray:
        moved = exchanged @ moving_hits, exchanged @ moving_sizes  # (b, c) each
        ours = _mean_f1(hits[0] + moved[0], sizes[0] + moved[1])
        return ours - _mean_f1(hits[1] - moved[0], sizes[1] - moved[1])

    found = _exchange_test(difference, int(differs.sum()), 1.0, seed, permutations)
    observed = float(difference(np.zeros((1, int(differs.sum()))))[0]) if len(truth) else None
    return {"difference": observed, **found}


def compare(
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    labels: list[str],
    seed: int,
    resamples: int = 1000,
    permutations: int = 10_000,
) -> dict:
    """Everything that tells one system from another on the same messages.

    Args:
        first, second: (n, labels) probabilities of each system.
        truth: (n,) index of each true label.
        labels: names, in order; of two, the second is the positive class.
        seed: of the experiment.

    Returns `difference`, `ci95` and `remark` of accuracy (`accuracy_difference`); `mcnemar`, which
    is also the exact permutation test of accuracy; and `permutation` {`f1`, `log_loss`}, each with
    its own `difference`. Of log loss the smaller is the better. Raises LoralabError where the
    messages are not as many.
    """
    check_same_messages(first.T, truth)
    check_same_messages(second.T, truth)
    chosen = first.argmax(axis=1), second.argmax(axis=1)
    right = chosen[0] == truth, chosen[1] == truth
    losses = log_losses(first, truth), log_losses(second, truth)
    return {
        **accuracy_difference(*right, seed, resamples),
        "mcnemar": mcnemar(*right),
        "permutation": {
            "f1": permutation_of_f1(*chosen, truth, labels, seed, permutations),
            "log_loss": paired_permutation(*losses, seed, permutations),
        },
    }


def compare_all(
    systems: dict[str, np.ndarray],
    truth: np.ndarray,
    labels: list[str],
    seed: int,
    pairs: list[tuple[str, str]] | None = None,
) -> list[dict]:
    """`compare` of several pairs of systems, with p values that allow for there being several.

    Args:
        systems: (n, labels) probabilities of each system, by its name.
        truth: (n,) index of each true label.
        labels: names, in order; of two, the second is the positive class.
        seed: of the experiment.
        pairs: names of those to be compared; every two, in the order of `systems`, where None.

    Returns a row a pair: `first` and `second`, their names, what `compare` returns, and `p_holm`,
    McNemar's p value adjusted over the pairs by `holm`. Raises LoralabError where a pair names no
    system or where the messages are not as many.
    """
    pairs = list(combinations(systems, 2)) if pairs is None else pairs
    unknown = sorted({name for pair in pairs for name in pair} - set(systems))
    if unknown:
        raise LoralabError(
            f"no system is called {', '.join(unknown)}: compare two of {', '.join(systems)}"
        )
    found = [compare(systems[a], systems[b], truth, labels, seed) for a, b in pairs]
    adjusted = holm([row["mcnemar"]["p_value"] for row in found])
    return [
        {"first": a, "second": b, **row, "p_holm": p}
        for (a, b), row, p in zip(pairs, found, adjusted, strict=True)
    ]


def holm(p_values: list[float]) -> list[float]:
    """p values adjusted for there being several (Holm, 1979), in the order given.

    Whoever calls significant those at or below 0.05 errs at least once with a probability of at
    most 0.05, however the tests depend on one another.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * float(p_values[place])))
        adjusted[place] = highest
    return adjusted


def check_same_messages(first: np.ndarray, second: np.ndarray) -> None:
    """Raise LoralabError where two systems were not measured on as many messages."""
    if first.shape[-1] != second.shape[-1]:
        raise LoralabError(
            f"two systems were to be compared, one measured on {first.shape[-1]} messages, the "
            f"other on {second.shape[-1]}: measure both on the same ones"
        )


def _mean_f1(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """F1 (b,), the mean over c labels of 2 hits / (occurrences + predictions), 0 for 0/0."""
    return np.divide(2 * hits, sizes, out=np.zeros_like(sizes), where=sizes > 0).mean(axis=1)


def _ways_up_to(most: int, n: int) -> int:
    """In how many ways at most `most` of `n` can be chosen: the sum of n over k."""
    ways = total = 1
    for k in range(most):
        ways = ways * (n - k) // (k + 1)
        total += ways
    return total


def _exchange_test(
    statistic: Callable[[np.ndarray], np.ndarray],
    differing: int,
    scale: float,
    seed: int,
    permutations: int,
) -> dict:
    """How often exchanging the systems at random gives a statistic at least as far from 0.

    `statistic` takes (b, differing) exchanges, 1 where the systems change places, and gives (b,);
    values within rounding of `scale`, which bounds them, are equal.
    """
    exact = differing <= ENUMERATED
    observed = abs(float(statistic(np.zeros((1, differing)))[0])) - ROUNDING * scale
    blocks = _all_exchanges(differing) if exact else _exchanges(differing, seed, permutations)
    as_far = sum(int((np.abs(statistic(block)) >= observed).sum()) for block in blocks)
    if exact:
        return {"p_value": as_far / 2**differing, "exact": True, "permutations": 2**differing}
    p_value = (1 + as_far) / (1 + permutations)
    return {"p_value": p_value, "exact": False, "permutations": permutations}


def _all_exchanges(differing: int) -> list[np.ndarray]:
    """One block (2**differing, differing): the binary digits of every number."""
    return [(np.arange(2**differing)[:, None] >> np.arange(differing) & 1).astype(np.float64)]


def _exchanges(differing: int, seed: int, permutations: int) -> Iterator[np.ndarray]:
    """Blocks (b, differing) of fair coins, `permutations` rows in all."""
    generator = np.random.default_rng(stream_seed(seed, "evaluation/permutation"))
    rows = max(1, CELLS // differing)
    for start in range(0, permutations, rows):
        size = (min(rows, permutations - start), differing)
        yield generator.integers(0, 2, size, dtype=np.int8).astype(np.float64)
