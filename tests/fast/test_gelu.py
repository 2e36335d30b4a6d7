"""GELU of the fast path against PyTorch's, in float64, by autograd."""

import pytest
import torch
from loralab.fast.layers import activate, activate_backward
from torch.nn import functional

ROUNDING = {torch.float64: 1e-13, torch.float32: 4e-6, torch.bfloat16: 2**-8}


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_gelu_and_its_gradient_are_those_of_autograd(dtype):
    h = torch.linspace(-8, 8, 100 * 48).view(100, 48).to(dtype)
    dactive = torch.linspace(0.5, 2, 100 * 48).view(48, 100).t().to(dtype).contiguous()
    exact = h.detach().double().requires_grad_()
    active = functional.gelu(exact, approximate="tanh")
    active.backward(dactive.double())
    into = h.new_zeros(100, 56)[:, :48]
    kept = activate(h, into, wants_slope=True)
    dh = activate_backward(dactive, kept)
    close = {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}
    torch.testing.assert_close(into.double(), active.detach(), **close)
    torch.testing.assert_close(dh.double(), exact.grad, **close)


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_where_no_gradient_is_wanted_gelu_is_the_same_to_rounding(dtype):
    h = torch.linspace(-8, 8, 70 * 48).view(70, 48).to(dtype)
    trained, predicted = torch.empty_like(h), torch.empty_like(h)
    activate(h, trained, wants_slope=True)
    activate(h, predicted, wants_slope=False)
    close = {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}
    torch.testing.assert_close(trained, predicted, **close)
