"""Merging: the same function, bit-exact on the way back, and refused where it would spoil."""

import math

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.checkpoints import load_base, save_base
from loralab.model.lora import (
    TRAINED,
    adapter_layers,
    adapter_parameters,
    adapter_state,
    disabled,
    load_adapter_state,
    merge,
    unload,
    unmerge,
)

VARIANTS = list(TRAINED)


def _bits(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _same(model, bits) -> bool:
    state = model.state_dict()
    return state.keys() == bits.keys() and all(torch.equal(state[n], t) for n, t in bits.items())


def _classify(model, ids, lengths):
    with torch.no_grad():
        return model.classify(ids, lengths)


@pytest.mark.parametrize(
    ("variant", "injections"), [("lora", 1), ("rslora", 1), ("dora", 1), ("lora", 2), ("rslora", 2)]
)
def test_merged_logits_are_the_unmerged_ones_and_not_the_bases(
    new_classifier, ids, lengths, variant, injections
):
    model = new_classifier(variant=variant, injections=injections)
    with disabled(model):
        plain = _classify(model, ids, lengths)
    beside = _classify(model, ids, lengths)
    merge(model)
    inside = _classify(model, ids, lengths)
    torch.testing.assert_close(inside, beside, atol=1e-5, rtol=1e-5)
    assert (inside - plain).abs().max() > 1e-2


@given(st.sampled_from(VARIANTS), st.integers(1, 16), st.integers(1, 3))
def test_unmerging_gives_back_every_bit_however_often(new_classifier, variant, rank, times):
    model = new_classifier(variant=variant, rank=rank)
    before = _bits(model)
    for _ in range(times):
        merge(model)
        assert not _same(model, before)
        unmerge(model)
    assert _same(model, before)


def test_nested_adapters_unmerge_to_every_bit_too(new_classifier):
    model = new_classifier(injections=2)
    before = _bits(model)
    merge(model)
    unmerge(model)
    assert _same(model, before)


@pytest.mark.parametrize("variant", VARIANTS)
def test_merging_twice_is_merging_once(new_classifier, variant):
    model = new_classifier(variant=variant)
    merge(model)
    once = _bits(model)
    merge(model)
    assert _same(model, once)


def test_unmerging_what_is_not_merged_changes_nothing(new_classifier):
    model = new_classifier()
    before = _bits(model)
    unmerge(model)
    assert _same(model, before)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_merge_is_computed_in_float32_and_rounded_once(new_classifier, variant):
    model = new_classifier(variant=variant)
    for _, layer in adapter_layers(model):
        layer.base.bfloat16()
    expected = {}
    for name, layer in adapter_layers(model):
        weight = layer.base.weight.double() + layer.scaling * (
            layer.lora_B.double() @ layer.lora_A.double()
        )
        if variant == "dora":
            weight = weight * (layer.lora_magnitude.double() / weight.norm(dim=1))[:, None]
        expected[name] = weight.detach().float().bfloat16()
    merge(model)
    for name, layer in adapter_layers(model):
        assert layer.weight.dtype == torch.bfloat16
        # Rounding float32's last bit can tip a bf16 rounding; nothing coarser may.
        assert (layer.weight != expected[name]).float().mean() < 1e-2


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("tensor", ["lora_A", "lora_B"])
def test_an_adapter_that_is_not_finite_is_refused_and_nothing_is_merged(
    new_classifier, tensor, value
):
    model = new_classifier()
    with torch.no_grad():
        getattr(model.h[1].mlp.c_fc, tensor)[0, 0] = value
    before = _bits(model)
    with pytest.raises(
        LoralabError, match=r"cannot be merged: tensor h\.1\.mlp\.c_fc\.weight holds"
    ):
        merge(model)
    assert not any(layer.merged for _, layer in adapter_layers(model))
    assert _bits(model).keys() == before.keys()
    for name, tensor in _bits(model).items():
        torch.testing.assert_close(tensor, before[name], atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_merged_model_has_the_bases_keys_and_loads_strictly(
    new_base, new_classifier, tmp_path, ids, variant
):
    model = new_classifier(variant=variant)
    hidden = model.hidden_states(ids)
    merge(model)
    unload(model)
    assert not list(adapter_layers(model))
    assert model.state_dict().keys() == {*new_base().state_dict(), "head.bias"}
    save_base(model, tmp_path)
    (tmp_path / "base").mkdir()
    save_base(new_base(), tmp_path / "base")
    names = safetensors.torch.load_file(tmp_path / "model.safetensors").keys()
    assert names == safetensors.torch.load_file(tmp_path / "base" / "model.safetensors").keys()
    found = load_base(tmp_path).eval().hidden_states(ids)
    torch.testing.assert_close(found, hidden, atol=1e-5, rtol=1e-5)


def test_unloading_without_merging_leaves_the_base(new_base, new_classifier, ids):
    model = new_classifier(injections=2)
    unload(model)
    with torch.no_grad():
        assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_disabled_gives_the_bases_outputs_and_afterwards_the_adapted_ones(
    new_base, new_classifier, ids, variant, merged
):
    model = new_classifier(variant=variant)
    if merged:
        merge(model)
    before, state = model.hidden_states(ids), _bits(model)
    with disabled(model):
        assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))
        with disabled(model):
            pass
        assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))
    assert torch.equal(model.hidden_states(ids), before)
    assert _same(model, state)


@pytest.mark.parametrize("merged", [False, True])
def test_disabled_ends_with_an_exception_too(new_classifier, ids, merged):
    model = new_classifier()
    if merged:
        merge(model)
    before = model.hidden_states(ids)
    with pytest.raises(KeyError), disabled(model):
        raise KeyError
    assert torch.equal(model.hidden_states(ids), before)


def test_what_was_kept_moves_and_is_cast_with_the_model(new_classifier):
    model = new_classifier()
    before = model.h[0].attn.q_proj.base.weight.double()
    merge(model)
    model.double()
    unmerge(model)
    assert torch.equal(model.h[0].attn.q_proj.base.weight, before)
    assert all(tensor.dtype == torch.float64 for _, tensor in adapter_parameters(model))


def test_a_state_taken_while_merged_cannot_be_taken_for_an_unmerged_one(new_classifier):
    merged, plain = new_classifier(), new_classifier()
    merge(merged)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        plain.load_state_dict(merged.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        merged.load_state_dict(plain.state_dict())
    with pytest.raises(LoralabError, match="merged adapters cannot be filled; unmerge them"):
        load_adapter_state(merged, adapter_state(plain))


def test_what_is_merged_in_part_is_merged_in_the_same_part_after_disabling(
    new_base, new_classifier, ids
):
    model = new_classifier()
    merge(model.h[0])
    before = model.hidden_states(ids)
    with disabled(model):
        assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))
    assert torch.equal(model.hidden_states(ids), before)
    assert [layer.merged for _, layer in adapter_layers(model)] == 6 * [True] + 6 * [False]


def test_merging_while_disabled_changes_nothing_until_the_end(new_base, new_classifier, ids):
    model = new_classifier()
    expected = model.hidden_states(ids)
    with disabled(model):
        merge(model)
        assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))
    torch.testing.assert_close(model.hidden_states(ids), expected, atol=1e-5, rtol=1e-5)


def test_nested_adapters_are_disabled_merged_or_not(new_base, new_classifier, ids):
    model = new_classifier(injections=2)
    for _ in range(2):
        with disabled(model):
            assert torch.equal(model.hidden_states(ids), new_base().hidden_states(ids))
        merge(model)


def test_adapters_in_bf16_are_merged_in_float32(new_classifier):
    model = new_classifier().bfloat16()
    layer = model.h[0].mlp.c_fc
    exact = layer.base.weight.double() + layer.scaling * (
        layer.lora_B.double() @ layer.lora_A.double()
    )
    torch.testing.assert_close(layer.merged_weight().double(), exact, atol=1e-6, rtol=1e-6)
