"""The adapted layer: arithmetic of its variants, gradients, dropout, beginnings."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.checkpoints import load_base, save_base
from loralab.model.classifier import add_head
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.lora import TRAINED, LoRALinear, inject, merge, plan_adapters, scaling_of
from loralab.model.shapes import GPT2Shape
from torch import nn
from torch.nn import functional

VARIANTS = list(TRAINED)
sides = st.integers(1, 24)


def _layer(inputs, outputs, rank, alpha=3.0, variant="lora", bias=True, seed=7) -> LoRALinear:
    """A layer in float64 whose every trained tensor is random."""
    drawn = torch.Generator().manual_seed(seed)
    base = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_(generator=drawn)
    layer = LoRALinear(base, rank, alpha, variant, generator=drawn).double()
    with torch.no_grad():
        layer.lora_B.normal_(generator=drawn)
        if variant == "dora":
            layer.lora_magnitude.uniform_(0.5, 2.0, generator=drawn)
    return layer


def _dense(layer: LoRALinear, x: torch.Tensor, a=None, b=None, magnitude=None) -> torch.Tensor:
    """The definition: one matrix product with the adapted weight."""
    a = layer.lora_A if a is None else a
    b = layer.lora_B if b is None else b
    magnitude = layer.lora_magnitude if magnitude is None else magnitude
    divisor = math.sqrt(layer.rank) if layer.variant == "rslora" else layer.rank
    weight = layer.base.weight + layer.alpha / divisor * b @ a
    if layer.variant == "dora":
        lengths = (weight**2).sum(dim=1).sqrt().detach()
        weight = weight * (magnitude / lengths)[:, None]
    return functional.linear(x, weight, layer.base.bias)


# --- worked examples of other suites --------------------------------------------------------------


def _worked_example() -> LoRALinear:
    layer = LoRALinear(nn.Linear(4, 6, bias=False), rank=2, alpha=1)
    with torch.no_grad():
        layer.base.weight.fill_(3.0)
        layer.lora_A.copy_(torch.arange(1.0, 9.0).view(2, 4))
        layer.lora_B.copy_(torch.arange(1.0, 13.0).view(6, 2))
    return layer


def test_the_adapted_weight_is_that_of_the_worked_example_merged_and_not():
    layer = _worked_example()
    model = nn.Sequential(layer)
    with torch.no_grad():
        beside = model(torch.eye(4)).T
        merge(model)
        inside = layer.weight
    for weight in (beside, inside):
        assert weight[0].tolist() == [8.5, 10, 11.5, 13]
        assert weight[1].tolist() == [14.5, 18, 21.5, 25]
        assert weight[5].tolist() == [38.5, 50, 61.5, 73]


def test_forward_has_the_mean_that_torchtune_publishes_for_its_example():
    torch.manual_seed(16)
    x = torch.randn(2, 32, 64)
    layer = LoRALinear(nn.Linear(64, 128), rank=4, alpha=1)
    with torch.no_grad():
        for parameter in layer.parameters():
            count = parameter.numel()
            parameter.copy_((torch.arange(count) / count).view(parameter.shape))
        assert layer(x).mean().item() == pytest.approx(1.1252, abs=1e-4)


def test_scalings_are_those_of_the_published_formulas():
    assert scaling_of("lora", 16, 3) == 3 / 16
    assert scaling_of("rslora", 16, 3) == 3 / 4
    assert scaling_of("dora", 16, 3) == 3 / 16


# --- arithmetic -----------------------------------------------------------------------------------


@given(
    sides, sides, st.integers(1, 6), st.floats(0.1, 64), st.sampled_from(VARIANTS), st.booleans()
)
def test_forward_equals_the_dense_form_in_float64(inputs, outputs, rank, alpha, variant, bias):
    layer = _layer(inputs, outputs, rank, alpha, variant, bias)
    x = torch.randn(3, 5, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = _dense(layer, x)
    tolerance = 1e-12 * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(layer(x), expected, atol=tolerance, rtol=0)


@given(sides, sides, st.integers(1, 5), st.integers(1, 5), st.sampled_from(VARIANTS))
def test_padding_the_rank_with_zeros_changes_nothing(inputs, outputs, rank, more, variant):
    layer = _layer(inputs, outputs, rank, variant=variant)
    same_scaling = layer.alpha * (
        scaling_of(variant, rank, 1) / scaling_of(variant, rank + more, 1)
    )
    padded = LoRALinear(layer.base, rank + more, same_scaling, variant).double()
    with torch.no_grad():
        for tensor, other in ((padded.lora_A, layer.lora_A), (padded.lora_B, layer.lora_B)):
            tensor.zero_()[tuple(slice(size) for size in other.shape)] = other
        if variant == "dora":
            padded.lora_magnitude.copy_(layer.lora_magnitude)
    x = torch.randn(4, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(padded(x), layer(x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rank", [1, 8, 16])
def test_a_new_adapter_changes_no_bit(variant, rank):
    base = nn.Linear(16, 24)
    x = torch.randn(3, 16)
    expected = base(x)
    assert torch.equal(LoRALinear(base, rank, 16, variant)(x), expected)


def test_a_row_of_zeros_has_no_direction_and_stays_zero_under_dora():
    base = nn.Linear(4, 3, bias=False)
    with torch.no_grad():
        base.weight[1].zero_()
    layer = LoRALinear(base, 2, 4, "dora")
    assert torch.equal(layer(torch.ones(4)), base(torch.ones(4)))
    assert layer.merged_weight().isfinite().all()
    nn.init.ones_(layer.lora_B)
    out = layer(torch.ones(4))
    assert out[1] == 0
    assert out.isfinite().all()
    out.sum().backward()
    assert all(getattr(layer, name).grad.isfinite().all() for name in TRAINED["dora"])


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["lora", "rslora"])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_pass_gradcheck_in_float64(variant, bias):
    layer = _layer(5, 4, 3, variant=variant, bias=bias)
    x = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)

    def computed(x, a, b):
        layer_of = {"lora_A": a, "lora_B": b}
        return torch.func.functional_call(layer, layer_of, (x,))

    a, b = (t.detach().clone().requires_grad_() for t in (layer.lora_A, layer.lora_B))
    assert torch.autograd.gradcheck(computed, (x, a, b))


@given(sides, sides, st.integers(1, 4), st.sampled_from(VARIANTS))
def test_gradients_equal_those_of_the_dense_form(inputs, outputs, rank, variant):
    layer = _layer(inputs, outputs, rank, variant=variant)
    trained = [getattr(layer, name) for name in TRAINED[variant]]
    x = torch.randn(3, inputs, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, outputs, dtype=torch.float64)
    found = torch.autograd.grad((weights * layer(x)).sum(), [x, *trained])
    expected = torch.autograd.grad((weights * _dense(layer, x)).sum(), [x, *trained])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_at_the_start_the_gradient_of_a_is_exactly_zero_and_no_other(variant):
    layer = LoRALinear(nn.Linear(6, 5), 3, 6, variant)
    (layer(torch.randn(4, 6)) ** 2).sum().backward()
    zero = {name for name in TRAINED[variant] if not getattr(layer, name).grad.any()}
    assert zero == {"lora_A"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_adapter_freezes_the_layer_that_it_wraps(variant):
    layer = LoRALinear(nn.Linear(4, 6), rank=2, alpha=1, variant=variant)
    trainable = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    assert trainable == set(TRAINED[variant])


# --- dropout, beginnings, precision -----------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_dropout_acts_on_the_adapter_alone_and_only_while_training(variant):
    layer = LoRALinear(nn.Linear(16, 16), rank=4, alpha=4, variant=variant, dropout=0.5)
    x = torch.ones(64, 16)
    layer.train()
    assert torch.equal(layer(x), layer.base(x))
    nn.init.ones_(layer.lora_B)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_dropout_keeps_the_expected_output():
    layer = LoRALinear(nn.Linear(8, 4), rank=4, alpha=4, dropout=0.25)
    nn.init.ones_(layer.lora_B)
    torch.manual_seed(0)
    x = torch.rand(1, 8).expand(40_000, 8)
    torch.testing.assert_close(layer(x).mean(dim=0), layer.eval()(x[0]), atol=0.02, rtol=0)


def test_a_begins_kaiming_uniform_and_the_head_as_a_linear_layer_does():
    def drawn():
        return torch.Generator().manual_seed(8)

    layer = LoRALinear(nn.Linear(300, 20), rank=5, alpha=1, generator=drawn())
    expected = nn.init.kaiming_uniform_(torch.empty(5, 300), a=5**0.5, generator=drawn())
    torch.testing.assert_close(layer.lora_A.detach(), expected, atol=1e-7, rtol=0)
    model = GPT2(GPT2Shape(8, 8, 300, 1, 1))
    replace_head(model, 5, bias=False, generator=drawn())
    torch.testing.assert_close(model.head.weight.detach(), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_beside_a_bf16_base_adapters_head_and_gradients_stay_float32(
    base, lora, ids, lengths, tmp_path, variant
):
    save_base(base, tmp_path)
    model = load_base(tmp_path, dtype=torch.bfloat16)
    inject(model, plan_adapters(model, lora(rank=4, variant=variant)))
    add_head(model, labels=2, bias=True, seed=1)
    logits = model.classify(ids, lengths)
    logits.sum().backward()
    assert logits.dtype == torch.float32
    for parameter in model.parameters():
        if parameter.requires_grad:
            assert (parameter.dtype, parameter.grad.dtype) == (torch.float32, torch.float32)
        else:
            assert (parameter.dtype, parameter.grad) == (torch.bfloat16, None)


def test_merged_adapters_refuse_to_be_trained(new_classifier, ids, lengths):
    model = new_classifier()
    merge(model)
    model.train()
    with pytest.raises(LoralabError, match="merged adapters cannot be trained; unmerge"):
        model.classify(ids, lengths)
    with torch.no_grad():
        model.classify(ids, lengths)
