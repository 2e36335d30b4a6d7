"""How a kernel is declared: its name and what its arguments are."""

import inspect
import sys
from collections.abc import Callable


class Products:
    """An array in the dtype of the large products; bf16 by its bits, which `scalars.wide` reads."""


class Wide:
    """An array in the dtype of everything else, at least float32."""


class Whole:
    """A wide array of which a kernel sees all; how far its rows are apart, it is told."""


class WholeProducts:
    """The same in the dtype of the large products."""


class Integers:
    """An array of 64-bit integers."""


# Threads that take part where each has scratch memory and gradients of its own, at most: a batch
# has a few hundred rows, and the gradients have to be added up.
MOST_SHARES = 16

KERNELS: dict[str, Callable] = {}
HELPERS: list[Callable] = []  # what kernels call


def kernel(function: Callable) -> Callable:
    """A kernel: a function of a thread's rows, or where it has no argument `rows`, of one row."""
    KERNELS[function.__name__] = function
    return function


def of_share(function: Callable) -> bool:
    """Whether a kernel takes all rows of a thread at once."""
    return "rows" in inspect.signature(function).parameters


def most_threads(function: Callable) -> int:
    """In how many threads a kernel may run that takes all rows of a thread."""
    has_memory_for_each = "scratch" in inspect.signature(function).parameters
    return MOST_SHARES if has_memory_for_each else sys.maxsize


def argument_kinds(function: Callable) -> list[type]:
    """What the arguments of a kernel are that it is called with: not those that say where it is."""
    arguments = inspect.signature(function).parameters.values()
    return [e.annotation for e in arguments if e.name not in ("row", "rows", "thread")]


def helper(function: Callable) -> Callable:
    HELPERS.append(function)
    return function


# By which a kernel asks which thread it runs in, and how many there are.
OPENMP = ("omp_get_thread_num", "omp_get_num_threads")
