"""From what was clocked to what is reported: medians, ratios, shares of the matrix rate."""

from statistics import median

from benchmarks.contestants import CONTESTANTS, LAB, Contestant

BLOCK_WEIGHTS = 84_934_656  # N: the linear layers of GPT-2 124M's blocks
ADAPTERS = 165_888 * 8  # P: LoRA of rank 8 beside each of them
FLOP_PER_TOKEN = {
    "lora": 4 * BLOCK_WEIGHTS + 6 * ADAPTERS,
    "full": 6 * BLOCK_WEIGHTS,
    "head": 2 * BLOCK_WEIGHTS,
}
METHOD = {
    "seconds_per_epoch": "of each round: seconds of the batches taken / their share of the epoch's "
    "work, which is tokens with padding; median, minimum and maximum over the rounds",
    "tokens_per_second": "real tokens of an epoch / median seconds per epoch",
    "peak_memory_bytes": "of the contestant's own process, building not counted: resident memory, "
    "on CUDA what tensors took",
    "flop_per_token": "lora 4N + 6P (forward 2N + 2P, gradients of activations 2N + 2P, of "
    "adapters 2P), full 6N, head 2N; N = 84,934,656 block weights, P = 1,327,104 of the adapters",
    "share_of_matrix_rate": "flop_per_token x tokens_per_second / best measured rate of a matrix "
    "product in the same precision: work on padding counts as lost",
    "ratios": "seconds of the other / seconds of this one in each round; median, minimum, maximum",
}


def summarise(clocked: dict[str, dict], rates: dict[str, float], tokens: int) -> dict[str, dict]:
    """What is reported of each contestant.

    `clocked` has of each its `seconds_per_epoch` by round, `peak_memory_bytes` and `details`;
    `rates` are GFLOP/s by precision, `tokens` the real tokens of an epoch.
    """
    seconds = {name: told["seconds_per_epoch"] for name, told in clocked.items()}
    return {
        name: {
            **_figures(CONTESTANTS[name], seconds[name], rates, tokens),
            "peak_memory_bytes": clocked[name]["peak_memory_bytes"],
            "details": clocked[name]["details"],
            "ratios": {
                key: {"to": other, **_spread(_quotients(seconds[other], seconds[name]))}
                for key, other in _references(name, seconds).items()
            },
        }
        for name in clocked
    }


def _figures(
    contestant: Contestant, seconds: list[float], rates: dict[str, float], tokens: int
) -> dict:
    speed = tokens / median(seconds)
    flop = FLOP_PER_TOKEN[contestant.trains]
    return {
        "title": contestant.title,
        "family": contestant.family,
        "precision": contestant.precision,
        "batching": contestant.batching,
        "trains": contestant.trains,
        "seconds_per_epoch": {**_spread(seconds), "rounds": [round(s, 4) for s in seconds]},
        "tokens_per_second": round(speed, 1),
        "flop_per_token": flop,
        "share_of_matrix_rate": _rounded(flop * speed / (1e9 * rates[contestant.precision])),
    }


def _references(name: str, seconds: dict[str, list[float]]) -> dict[str, str]:
    """With whom a contestant is compared, of those that were measured."""
    peers = [n for n in seconds if CONTESTANTS[n].family == "peft"]
    equals = [n for n in peers if CONTESTANTS[n].precision == CONTESTANTS[name].precision]
    groups = {
        "lab": [LAB] if LAB in seconds else [],
        "best_peft_of_same_precision": equals,
        "best_peft": peers,
    }
    return {
        key: min(group, key=lambda other: median(seconds[other]))
        for key, group in groups.items()
        if group
    }


def _quotients(others: list[float], own: list[float]) -> list[float]:
    return [other / mine for other, mine in zip(others, own, strict=True)]


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": _rounded(median(values)),
        "minimum": _rounded(min(values)),
        "maximum": _rounded(max(values)),
    }


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
