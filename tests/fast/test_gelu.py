"""GELU of the fast path against PyTorch's, in float64, by autograd."""

import pytest
import torch
from loralab.fast.gelu import activate, activate_backward
from loralab.fast.products import held_weight
from torch import nn
from torch.nn import functional

ROUNDING = {torch.float64: 1e-13, torch.float32: 4e-6, torch.bfloat16: 2**-8}
WIDTH = 64
dtypes = pytest.mark.parametrize("dtype", ROUNDING, ids=str)


def product(dtype, trained=True):
    """What follows GELU in a block."""
    return held_weight([nn.Linear(WIDTH, 12)], 4, dtype, trained)


def numbers(dtype):
    return torch.linspace(-8, 8, 100 * WIDTH).view(100, WIDTH).to(dtype)


def close(dtype):
    return {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}


@dtypes
def test_gelu_and_its_gradient_are_those_of_autograd(dtype):
    h = numbers(dtype)
    dactive = torch.linspace(0.5, 2, h.numel()).view(WIDTH, 100).t().to(dtype).contiguous()
    exact = h.detach().double().requires_grad_()
    active = functional.gelu(exact, approximate="tanh")
    active.backward(dactive.double())
    given, kept = activate(h, product(dtype), wants_slope=True)
    dh = activate_backward(dactive, kept)
    torch.testing.assert_close(given.x.double(), active.detach(), **close(dtype))
    torch.testing.assert_close(dh.double(), exact.grad, **close(dtype))


@dtypes
def test_where_no_gradient_is_wanted_gelu_is_the_same_to_rounding(dtype):
    h = numbers(dtype)
    trained, _ = activate(h, product(dtype), wants_slope=True)
    predicted, _ = activate(h, product(dtype, trained=False), wants_slope=False)
    torch.testing.assert_close(trained.x, predicted.x, **close(dtype))


def every_bf16_number():
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    return bits.view(torch.bfloat16).view(-1, WIDTH)


def test_in_bf16_gelu_of_every_number_is_rounded_once():
    h = every_bf16_number()
    exact = functional.gelu(h.double(), approximate="tanh")
    active = activate(h, product(torch.bfloat16), wants_slope=True)[0].x.double()
    # Below -3 the sum 1 + tanh loses digits in float32; the smallest numbers are taken as zero.
    plain = (h > -3) & (h < 10) & (h.abs() > 2**-125)
    error = (active - exact).abs()[plain] / exact.abs()[plain]
    assert error.max() < 2**-8
    assert (active - exact).abs()[h <= -3].nan_to_num().max() < 1e-4
    assert active[h.isnan()].isnan().all()
    assert (active[h > 10] == h[h > 10].double()).all()


def test_where_onednn_may_not_compute_in_bf16_gelu_is_pytorchs(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    h = every_bf16_number()
    active = activate(h, product(torch.bfloat16), wants_slope=True)[0].x
    plain = functional.gelu(h, approximate="tanh")
    assert torch.equal(active.view(torch.int16), plain.view(torch.int16))
