"""Messages of a batch end to end, without padding, and where attention finds each of them.

Shapes: N tokens in all, B messages, T tokens in the longest, H heads of D numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedBatch:
    """The tokens of B messages as N rows; attention alone sees them as a grid of (B, T) places.

    A place beyond a message's end shows some other row: it comes after every real token, which
    the causal mask keeps from seeing it.
    """

    ids: Tensor  # (N,)
    positions: Tensor  # (N,)
    last: Tensor  # (B,) the row of each message's last token
    lengths: Tensor  # (B,)
    longest: int  # T
    rows: Tensor | None  # (B·T,) the row shown at each place; None where every message has T tokens
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
        """As `to_grid`, with zeros beyond each message's end: the reverse of `from_grid`."""
        if self.places is None:
            return x
        grid = x.new_zeros(self.messages * self.longest, *x.shape[1:])
        return grid.index_copy_(0, self.places, x)


def pack(ids: Tensor, lengths: Tensor) -> PackedBatch:
    """A batch on the CPU from its tokens end to end, (N,), and the messages' lengths, (B,)."""
    longest = int(lengths.max())
    ends = lengths.cumsum(0)
    starts = ends - lengths
    message = torch.repeat_interleave(torch.arange(len(lengths)), lengths)  # (N,)
    positions = torch.arange(len(ids)) - starts[message]
    rows = places = None
    if len(ids) < len(lengths) * longest:
        places = message * longest + positions
        rows = starts.repeat_interleave(longest)
        rows[places] = torch.arange(len(ids))
    return PackedBatch(ids, positions, ends - 1, lengths, longest, rows, places)
