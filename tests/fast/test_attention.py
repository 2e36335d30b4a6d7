"""Attention's backward pass, written out, against autograd."""

import pytest
import torch
from loralab.fast.attention import attend, attend_backward, future
from loralab.fast.dropout import Dropout

HEADS, LENGTH, WIDTH = 6, 5, 4


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_gradients_are_put_over_whatever_was_there(share):
    drawn = torch.Generator().manual_seed(1)
    shape = (HEADS, LENGTH, WIDTH)
    q, k, v, dmixed = (torch.randn(shape, generator=drawn, dtype=torch.float64) for _ in range(4))
    leaves = [part.clone().requires_grad_() for part in (q, k, v)]
    hidden = future(LENGTH, torch.float64, q.device)
    mixed, _ = attend(*leaves, hidden, Dropout(3), share)
    mixed.backward(dmixed)

    drop = Dropout(3)
    _, saved = attend(q, k, v, hidden, drop, share)
    into = torch.full((3, *shape), torch.nan, dtype=torch.float64)
    attend_backward(dmixed, saved, drop, share, into)
    for gradient, leaf in zip(into, leaves, strict=True):
        torch.testing.assert_close(gradient, leaf.grad)
