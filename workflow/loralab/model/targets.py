"""Which layers are adapted: patterns for dotted module paths, as PEFT's `rank_pattern` has them.

A pattern is a regular expression for the end of a path, from a dot on, and so most simply a name:
`c_proj` means two layers of each GPT-2 block, `attn.c_proj` one, `h[.][01][.].*` all of two blocks.
"""

import difflib
from collections.abc import Mapping, Sequence

import regex  # which, unlike re, can be told to give up

from loralab.config import Lora
from loralab.errors import LoralabError, raise_all

ALL_LINEAR = "all-linear"
SECONDS = 1.0  # for a pattern on a path; some, made to, would take years


def matches_whole(pattern: str, path: str) -> bool:
    """Whether the pattern describes the path. Raises LoralabError where it takes too long."""
    try:
        return regex.fullmatch(pattern, path, timeout=SECONDS) is not None
    except TimeoutError:
        raise LoralabError(f"the pattern {pattern!r} takes too long; simplify it") from None


def matches(pattern: str, path: str) -> bool:
    """Whether the pattern describes the path or an end of it, from a dot on."""
    return matches_whole(rf"(.*\.)?(?:{pattern})", path)


def pattern_error(pattern: object) -> str | None:
    """What keeps a value from being a pattern, or None."""
    if not isinstance(pattern, str):
        return "it is no text; put it in quotes"
    try:
        regex.compile(pattern)
        regex.compile(rf"(.*\.)?(?:{pattern})")
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None


def first_match(patterns: Mapping[str, float], path: str, default: float) -> float:
    """The value of the first pattern that matches, or the default."""
    return next((value for key, value in patterns.items() if matches(key, path)), default)


def choose(layers: Mapping[str, tuple[int, int]], lora: Lora) -> dict[str, tuple[int, float]]:
    """Rank and alpha of each of the linear layers `h.<block>.…` that `lora` asks to adapt.

    `layers` gives the (in, out) of every layer of the blocks, by its path; their order is kept.
    Raises LoralabError where a pattern matches nothing, with near misses, where `lora.layers` is
    no range of the model's blocks, where nothing is left, or where a rank exceeds a smaller side.
    """
    targets = [".*"] if lora.targets == ALL_LINEAR else lora.targets
    _check_patterns({"lora.targets": targets, "lora.exclude": lora.exclude}, list(layers))
    blocks = _blocks(list(layers), lora.layers.first, lora.layers.last)
    chosen = [
        path
        for path in layers
        if _block(path) in blocks
        and any(matches(pattern, path) for pattern in targets)
        and not any(matches(pattern, path) for pattern in lora.exclude)
    ]
    if not chosen:
        raise LoralabError("lora.exclude and lora.layers leave none of lora.targets to adapt")
    patterns = {"rank_pattern": lora.rank_pattern, "alpha_pattern": lora.alpha_pattern}
    _check_patterns({f"lora.{key}": list(value) for key, value in patterns.items()}, chosen)
    found = {
        path: (
            first_match(lora.rank_pattern, path, lora.rank),
            first_match(lora.alpha_pattern, path, lora.alpha),
        )
        for path in chosen
    }
    _check_ranks({path: rank for path, (rank, _) in found.items()}, layers)
    return found


def _check_patterns(settings: Mapping[str, Sequence[str]], paths: Sequence[str]) -> None:
    problems = [
        f"{setting} {pattern!r} {problem}"
        for setting, patterns in settings.items()
        for pattern in patterns
        if (problem := _pattern_problem(pattern, paths))
    ]
    raise_all(problems, "the adapters cannot be planned")


def _pattern_problem(pattern: str, paths: Sequence[str]) -> str | None:
    unfit = pattern_error(pattern)
    if unfit:
        return f"is no regular expression: {unfit}"
    if any(matches(pattern, path) for path in paths):
        return None
    kinds = list(dict.fromkeys(map(_kind, paths)))
    near = difflib.get_close_matches(pattern, kinds, n=1, cutoff=0.0)[0]
    return f"matches no layer; did you mean {near}? There are {', '.join(kinds)} in each block"


def _check_ranks(ranks: Mapping[str, int], layers: Mapping[str, tuple[int, int]]) -> None:
    problems = [
        f"rank {rank} of {_kind(path)} exceeds {min(layers[path])}, the layer's smaller side"
        for path, rank in ranks.items()
        if rank > min(layers[path])
    ]
    raise_all(list(dict.fromkeys(problems)), "lower lora.rank or what lora.rank_pattern says")


def _block(path: str) -> int:
    return int(path.split(".")[1])


def _kind(path: str) -> str:
    """The path within its block."""
    return path.split(".", 2)[2]


def _blocks(paths: Sequence[str], first: int, last: int | None) -> range:
    count = 1 + max(_block(path) for path in paths)
    stop = count if last is None else last + 1
    if not 0 <= first < stop <= count:
        end = "the last" if last is None else last
        raise LoralabError(
            f"lora.layers goes from {first} to {end}; the model's blocks are 0 to {count - 1}"
        )
    return range(first, stop)
