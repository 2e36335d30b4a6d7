"""Messages of a batch end to end, hardly padded, and where attention finds each of them.

Shapes: N rows in all, B messages, T rows of the longest, H heads of D numbers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedBatch:
    """The tokens of B messages as N rows; attention alone sees them as a grid of (B, T) places.

    A place beyond a message's rows shows some other row: it comes after every real token, which
    the causal mask keeps from seeing it.
    """

    ids: Tensor  # (N,)
    positions: Tensor  # (N,)
    starts: Tensor  # (B + 1,) the first row of each message, and N
    last: Tensor  # (B,) the row of each message's last token
    lengths: Tensor  # (B,) in tokens
    longest: int  # T
    rows: Tensor | None  # (B·T,) the row shown at each place; None where every message has T rows
    places: Tensor | None  # (N,) the place of each row, likewise

    def to(self, device: torch.device | None) -> "PackedBatch":
        moved = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return PackedBatch(**moved)

    @property
    def messages(self) -> int:
        return len(self.lengths)

    def to_grid(self, x: Tensor) -> Tensor:  # (N, ...) -> (B·T, ...)
        return x if self.rows is None else x.index_select(0, self.rows)

    def from_grid(self, x: Tensor) -> Tensor:  # (B·T, ...) -> (N, ...)
        return x if self.places is None else x.index_select(0, self.places)

    def spread_to_grid(self, x: Tensor) -> Tensor:  # (N, ...) -> (B·T, ...)
        """As `to_grid`, with zeros beyond each message's rows: the reverse of `from_grid`."""
        if self.places is None:
            return x
        grid = x.new_zeros(self.messages * self.longest, *x.shape[1:])
        return grid.index_copy_(0, self.places, x)


def rows_taken(lengths: np.ndarray, multiple: int, context: int) -> np.ndarray:  # (B,) -> (B,)
    """How many rows each message takes: a few get more than they have tokens (B,), so that all
    together are a multiple, as far as the context has room.

    Shorter messages get them first: where the grid of attention has places anyway.
    """
    wanted = -lengths.sum() % multiple
    longest = max(lengths.max(), -(-(lengths.sum() + wanted) // len(lengths)))
    room = min(longest, context) - lengths
    return lengths + np.clip(wanted - (room.cumsum() - room), 0, room)


def pack(ids: Tensor, lengths: Tensor, taken: Tensor) -> PackedBatch:
    """A batch on the CPU from its rows end to end, (N,), the messages' lengths, (B,), and how many
    rows each takes, (B,): those beyond its length are padding, which no real token sees.
    """
    longest = int(taken.max())
    starts = torch.cat([taken.new_zeros(1), taken.cumsum(0)])
    first = starts[:-1]
    message = torch.repeat_interleave(torch.arange(len(taken)), taken)  # (N,)
    positions = torch.arange(len(ids)) - first[message]
    rows = places = None
    if len(ids) < len(taken) * longest:
        places = message * longest + positions
        rows = first.repeat_interleave(longest)
        rows[places] = torch.arange(len(ids))
    last = first + lengths - 1
    return PackedBatch(ids, positions, starts, last, lengths, longest, rows, places)
