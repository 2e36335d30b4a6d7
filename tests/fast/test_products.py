"""Each way of holding a frozen weight multiplies by it, and gives it back to the last bit."""

import pytest
import torch
from loralab.fast.compiled_linear import CompiledLinear
from loralab.fast.products import OneDNNWeight, Updates, Weight, rows_of_products
from loralab.fast.striped_weight import StripedWeight
from torch import nn

INPUTS, OUTPUTS, ROWS = 96, (32, 64, 32), 40
TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 0.02}
WAYS = [
    (Weight, torch.float32),
    (Weight, torch.bfloat16),
    (OneDNNWeight, torch.float32),
    (OneDNNWeight, torch.bfloat16),
    (StripedWeight, torch.float32),
]


def three_layers(dtype):
    torch.manual_seed(1)
    return [nn.Linear(INPUTS, outputs).requires_grad_(False).to(dtype) for outputs in OUTPUTS]


def close(found, expected):
    distance = (found.double() - expected).norm() / expected.norm()
    return distance < TOLERANCES[found.dtype]


@pytest.mark.parametrize(("way", "dtype"), WAYS)
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


def test_a_weight_in_strips_adds_the_updates_of_adapters_where_they_are():
    layers = three_layers(torch.float32)
    held = StripedWeight(layers, torch.float32)
    x, low, b = torch.randn(ROWS, INPUTS), torch.randn(ROWS, 5), torch.randn(2 * 32 + 3 * 32)
    parts = torch.tensor([0, 2, 0, 32, 0] + [2, 3, 96, 32, 64])  # the first and the third layer
    found = held.forward(x, held.bias, Updates(2, parts, low, b))
    expected = held.forward(x, held.bias).double()
    expected[:, :32] += low[:, :2].double() @ b[:64].view(2, 32).double()
    expected[:, 96:] += low[:, 2:].double() @ b[64:].view(3, 32).double()
    assert close(found, expected)


@pytest.mark.parametrize("own", TOLERANCES)
@pytest.mark.parametrize(("way", "dtype"), WAYS)
def test_layers_have_their_weights_again_to_the_last_bit(way, dtype, own):
    layers, untouched = three_layers(own), three_layers(own)
    held = way(layers, dtype)
    held.backward(torch.randn(ROWS, sum(OUTPUTS)).to(dtype))
    held.give_back()
    for layer, before in zip(layers, untouched, strict=True):
        assert torch.equal(layer.weight, before.weight)


@pytest.mark.parametrize(("way", "dtype"), WAYS)
def test_weights_of_the_products_dtype_are_held_once(way, dtype):
    layers = three_layers(dtype)
    held = way(layers, dtype)
    if way is Weight:
        owned = {layer.weight.untyped_storage().data_ptr() for layer in layers}
        assert owned == {held.weight.untyped_storage().data_ptr()}
    else:
        assert not any(layer.weight.numel() for layer in layers)


@pytest.mark.parametrize(("way", "dtype"), WAYS[3:])
def test_a_second_layout_is_made_when_a_gradient_is_asked_for(way, dtype):
    held = way(three_layers(dtype), dtype)
    held.forward(torch.randn(ROWS, INPUTS).to(dtype), None)
    assert "_transposed" not in vars(held)
    held.backward(torch.randn(ROWS, sum(OUTPUTS)).to(dtype))
    assert "_transposed" in vars(held)


@pytest.mark.parametrize(
    ("dtype", "trained", "way"),
    [
        (torch.bfloat16, True, OneDNNWeight),
        (torch.bfloat16, False, Weight),
        (torch.float32, True, StripedWeight),
        (torch.float32, False, Weight),
        (torch.float64, True, Weight),
    ],
)
def test_weights_are_laid_out_for_training(dtype, trained, way, monkeypatch):
    monkeypatch.setattr("loralab.fast.compiled_linear.has_avx512", lambda: True)
    monkeypatch.setattr("loralab.fast.compiled_linear.has_onednn_bf16", lambda: True)
    flat = object() if trained else None
    linear = CompiledLinear(three_layers(torch.float32), flat, dtype)
    assert type(linear.held) is way
    assert linear.multiplier == way.multiplier


def test_without_onednn_or_wide_vectors_or_whole_strips_nothing_is_laid_out(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    linear = CompiledLinear(three_layers(torch.float32), object(), torch.bfloat16)
    assert type(linear.held) is Weight
    for inputs, outputs in ((INPUTS, 40), (40, 32)):
        layer = nn.Linear(inputs, outputs).requires_grad_(False)
        assert type(CompiledLinear([layer], object(), torch.float32).held) is Weight
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    linear = CompiledLinear(three_layers(torch.float32), object(), torch.float32)
    assert type(linear.held) is Weight


@pytest.mark.parametrize("columns", [1, 16, 768, 1000, 1024, 3072])
def test_rows_of_products_do_not_take_each_others_places_in_a_cache(columns):
    rows = rows_of_products(5, columns, torch.float32)
    assert rows.shape == (5, columns) and rows.stride(1) == 1
    assert rows.stride(0) * 4 % 128 == 64  # an odd number of lines
    assert rows_of_products(5, columns, torch.bfloat16).is_contiguous()
