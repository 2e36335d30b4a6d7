"""Which layers are adapted: patterns for dotted module paths, as PEFT's `rank_pattern` has them.

A pattern is a regular expression for the end of a path, from a dot on, and so most simply a name:
`c_proj` means two layers of each GPT-2 block, `attn.c_proj` one, `h\\.[01]\\..*` all of two blocks.
"""

import difflib
import re
from collections.abc import Mapping, Sequence

from loralab.config import Lora
from loralab.errors import LoralabError, raise_all

ALL_LINEAR = "all-linear"


def matches(pattern: str, path: str) -> bool:
    """Whether the pattern describes the path or an end of it. Raises re.error where it is none."""
    return re.fullmatch(rf"(.*\.)?(?:{pattern})", path) is not None


def first_match(patterns: Mapping[str, float], path: str, default: float) -> float:
    """The value of the first pattern that matches, or the default."""
    return next((value for key, value in patterns.items() if matches(key, path)), default)


def choose(paths: Sequence[str], lora: Lora) -> list[str]:
    """Those of the blocks' linear layers `h.<block>.…` that `lora` asks to adapt, in their order.

    Raises LoralabError where a pattern matches nothing, with near misses, where `lora.layers` is
    no range of the model's blocks, or where nothing is left.
    """
    targets = [".*"] if lora.targets == ALL_LINEAR else lora.targets
    _check_patterns(
        {
            "lora.targets": targets,
            "lora.exclude": lora.exclude,
            "lora.rank_pattern": list(lora.rank_pattern),
            "lora.alpha_pattern": list(lora.alpha_pattern),
        },
        paths,
    )
    blocks = _blocks(paths, lora.layers.first, lora.layers.last)
    chosen = [
        path
        for path in paths
        if _block(path) in blocks
        and any(matches(pattern, path) for pattern in targets)
        and not any(matches(pattern, path) for pattern in lora.exclude)
    ]
    if not chosen:
        raise LoralabError("lora.exclude and lora.layers leave none of lora.targets to adapt")
    return chosen


def _check_patterns(settings: Mapping[str, Sequence[str]], paths: Sequence[str]) -> None:
    problems = [
        f"{setting} {pattern!r} {problem}"
        for setting, patterns in settings.items()
        for pattern in patterns
        if (problem := _pattern_problem(pattern, paths))
    ]
    raise_all(problems, "the adapters cannot be planned")


def _pattern_problem(pattern: str, paths: Sequence[str]) -> str | None:
    try:
        if any(matches(pattern, path) for path in paths):
            return None
    except re.error as error:
        return f"is no regular expression: {error}"
    endings = sorted({path.split(".", 2)[-1] for path in paths})
    near = difflib.get_close_matches(pattern, endings, n=3, cutoff=0.0)
    return f"matches no layer; the nearest are {', '.join(near)}"


def _block(path: str) -> int:
    return int(path.split(".")[1])


def _blocks(paths: Sequence[str], first: int, last: int | None) -> range:
    count = 1 + max(_block(path) for path in paths)
    stop = count if last is None else last + 1
    if not 0 <= first < stop <= count:
        raise LoralabError(
            f"lora.layers goes from {first} to {last}; the model's blocks are 0 to {count - 1}"
        )
    return range(first, stop)
