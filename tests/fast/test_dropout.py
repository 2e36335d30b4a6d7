"""Dropout of the fast path: the share, the scale, the same again from the same seed."""

import pytest
import torch
from loralab.fast.dropout import NOTHING_DROPPED, Dropout


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_rest_scaled_up(dtype, share):
    x = torch.full((1000, 999), 2.0, dtype=dtype)
    dropped, selection = Dropout(seed=1).forward(x, share)
    assert (dropped == 0).double().mean().item() == pytest.approx(share, abs=2e-3)
    scale = torch.tensor(1 / (1 - round(share * 65536) / 65536), dtype=dtype)
    assert torch.equal(dropped.unique(), torch.stack([torch.zeros_like(scale), 2 * scale]))
    assert torch.equal(Dropout(seed=1).backward(x, selection, share), dropped)


def test_selections_follow_from_the_seed_and_differ_from_one_to_the_next():
    x = torch.ones(8, 33)
    first, second = Dropout(seed=5), Dropout(seed=5)
    drawn = [first.forward(x, 0.5)[0] for _ in range(3)]
    assert all(torch.equal(one, second.forward(x, 0.5)[0]) for one in drawn)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], Dropout(seed=6).forward(x, 0.5)[0])


@pytest.mark.parametrize("drop", [NOTHING_DROPPED, Dropout(seed=1)])
def test_where_nothing_is_dropped_x_itself_comes_back(drop):
    x = torch.ones(3, 4)
    dropped, selection = drop.forward(x, 0.0)
    assert dropped is x and selection is None
    assert drop.backward(x, selection, 0.0) is x
