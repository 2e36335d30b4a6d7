"""Either way of holding a frozen weight multiplies by it and by the adapters beside it."""

import pytest
import torch
from loralab.fast.products import ExtendedWeight, LaidOutWeight, held_weight
from torch import nn

INPUTS, OUTPUTS, RANK, ROWS = 48, (32, 16, 32), 6, 40
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}


def three_layers(dtype):
    torch.manual_seed(1)
    return [nn.Linear(INPUTS, outputs).requires_grad_(False).to(dtype) for outputs in OUTPUTS]


def close(found, expected):
    distance = (found.double() - expected).norm() / expected.norm()
    return distance < TOLERANCES[found.dtype]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("held", [ExtendedWeight, LaidOutWeight])
@pytest.mark.parametrize("rank", [0, RANK])
def test_output_and_gradients_are_those_of_weight_and_update_together(held, dtype, rank):
    weight = torch.cat([layer.weight for layer in three_layers(dtype)]).double()
    bias = torch.cat([layer.bias for layer in three_layers(dtype)]).double()
    product = held(three_layers(dtype), rank, dtype)
    product.b.copy_(torch.randn(rank, sum(OUTPUTS)))
    x, dy = torch.randn(ROWS, INPUTS), torch.randn(ROWS, sum(OUTPUTS)).to(dtype)
    given = product.take(x)
    given.low.copy_(torch.randn(ROWS, rank))
    found = product.forward(given)
    b, low = product.b.double(), given.low.double()
    assert close(found, given.x.double() @ weight.t() + low @ b + bias)
    dx, dlow = product.backward(dy, wants_dx=True)
    assert close(dx, dy.double() @ weight)
    without_dx, alone = product.backward(dy, wants_dx=False)
    assert without_dx is None
    if rank:
        assert close(dlow, dy.double() @ b.t()) and close(alone, dy.double() @ b.t())


@pytest.mark.parametrize("held", [ExtendedWeight, LaidOutWeight])
def test_an_input_may_be_written_where_the_product_looks_for_it(held):
    product = held(three_layers(torch.float32), RANK, torch.float32)
    x = torch.randn(ROWS, INPUTS)
    taken, room = product.take(x), product.room(ROWS)
    room.x.copy_(x)
    for given in (taken, room):
        given.low.zero_()
    torch.testing.assert_close(product.forward(room), product.forward(taken))


@pytest.mark.parametrize("own", TOLERANCES)
def test_layers_have_their_weights_again_to_the_last_bit(own):
    layers, untouched = three_layers(own), three_layers(own)
    product = held_weight(layers, RANK, torch.bfloat16, trained=True)
    product.backward(torch.randn(ROWS, sum(OUTPUTS)).bfloat16(), wants_dx=True)
    product.give_back()
    for layer, before in zip(layers, untouched, strict=True):
        assert torch.equal(layer.weight, before.weight)
        assert layer.weight.untyped_storage().nbytes() == layer.weight.nbytes


def test_weights_are_held_once_and_in_one_layout_until_a_gradient_is_asked_for():
    layers = three_layers(torch.bfloat16)
    product = LaidOutWeight(layers, RANK, torch.bfloat16)
    assert not any(layer.weight.numel() for layer in layers)
    product.forward(product.take(torch.randn(ROWS, INPUTS)))
    dy = torch.randn(ROWS, sum(OUTPUTS)).bfloat16()
    product.backward(dy, wants_dx=False)
    assert "_transposed" not in vars(product)
    product.backward(dy, wants_dx=True)
    assert vars(product)["_transposed"].is_mkldnn


@pytest.mark.parametrize(
    ("dtype", "trained", "kind"),
    [
        (torch.bfloat16, True, LaidOutWeight),
        (torch.bfloat16, False, ExtendedWeight),
        (torch.float32, True, ExtendedWeight),
        (torch.float64, True, ExtendedWeight),
    ],
)
def test_weights_are_laid_out_for_training_in_bf16(dtype, trained, kind):
    assert type(held_weight(three_layers(torch.float32), RANK, dtype, trained)) is kind


def test_without_onednn_nothing_is_laid_out(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    held = held_weight(three_layers(torch.float32), RANK, torch.bfloat16, trained=True)
    assert type(held) is ExtendedWeight
