"""Either way of holding a frozen weight multiplies by it, and gives it back to the last bit."""

import pytest
import torch
from loralab.fast.compiled_linear import CompiledLinear
from loralab.fast.products import LaidOutWeight, Weight
from torch import nn

INPUTS, OUTPUTS, ROWS = 48, (32, 16, 32), 40
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.02}
WAYS = [Weight, LaidOutWeight]


def three_layers(dtype):
    torch.manual_seed(1)
    return [nn.Linear(INPUTS, outputs).requires_grad_(False).to(dtype) for outputs in OUTPUTS]


def close(found, expected):
    distance = (found.double() - expected).norm() / expected.norm()
    return distance < TOLERANCES[found.dtype]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 3])
def test_products_are_those_of_the_layers_weights_and_biases(way, dtype, count):
    layers = three_layers(dtype)[:count]
    weight = torch.cat([layer.weight for layer in layers]).double()
    bias = torch.cat([layer.bias for layer in layers]).double()
    held = way(layers, dtype)
    x, dy = torch.randn(ROWS, INPUTS).to(dtype), torch.randn(ROWS, len(bias)).to(dtype)
    assert close(held.forward(x, held.bias), x.double() @ weight.t() + bias)
    assert close(held.forward(x, None), x.double() @ weight.t())
    assert close(held.backward(dy), dy.double() @ weight)


@pytest.mark.parametrize("own", TOLERANCES)
@pytest.mark.parametrize("way", WAYS)
def test_layers_have_their_weights_again_to_the_last_bit(way, own):
    layers, untouched = three_layers(own), three_layers(own)
    held = way(layers, torch.bfloat16)
    held.backward(torch.randn(ROWS, sum(OUTPUTS)).bfloat16())
    held.give_back()
    for layer, before in zip(layers, untouched, strict=True):
        assert torch.equal(layer.weight, before.weight)


@pytest.mark.parametrize("way", WAYS)
def test_weights_of_the_products_dtype_are_held_once(way):
    layers = three_layers(torch.bfloat16)
    held = way(layers, torch.bfloat16)
    if way is LaidOutWeight:
        assert not any(layer.weight.numel() for layer in layers)
    else:
        owned = {layer.weight.untyped_storage().data_ptr() for layer in layers}
        assert owned == {held.weight.untyped_storage().data_ptr()}


def test_a_second_layout_is_made_when_a_gradient_is_asked_for():
    held = LaidOutWeight(three_layers(torch.bfloat16), torch.bfloat16)
    held.forward(torch.randn(ROWS, INPUTS).bfloat16(), None)
    assert "_transposed" not in vars(held)
    held.backward(torch.randn(ROWS, sum(OUTPUTS)).bfloat16())
    assert vars(held)["_transposed"].is_mkldnn


@pytest.mark.parametrize(
    ("dtype", "trained", "way"),
    [
        (torch.bfloat16, True, LaidOutWeight),
        (torch.bfloat16, False, Weight),
        (torch.float32, True, Weight),
        (torch.float64, True, Weight),
    ],
)
def test_weights_are_laid_out_for_training_in_bf16(dtype, trained, way):
    flat = object() if trained else None
    assert type(CompiledLinear(three_layers(torch.float32), flat, dtype).held) is way


def test_without_onednn_nothing_is_laid_out(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    linear = CompiledLinear(three_layers(torch.float32), object(), torch.bfloat16)
    assert type(linear.held) is Weight
