"""Holding back Ctrl-C and SIGTERM while something must not be cut in two."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts() -> Iterator[list[int]]:
    """Hold back SIGINT and SIGTERM until the block ends, then raise KeyboardInterrupt.

    The list given is no longer empty once one has come. For the main thread alone; elsewhere
    signals never arrive and nothing is held back.
    """
    held: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {
            kind: signal.signal(kind, lambda number, _: held.append(number)) for kind in kinds
        }
    except ValueError:  # not the main thread
        before = {}
    try:
        yield held
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    if held:
        raise KeyboardInterrupt
