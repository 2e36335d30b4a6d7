"""Injection: identity, what is trainable afterwards, and what a second one does."""

import dataclasses

import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.classifier import add_adapters, add_head
from loralab.model.lora import (
    TRAINED,
    adapter_parameters,
    adapter_state,
    inject,
    load_adapter_state,
    plan_adapters,
    planned_names,
    present_plan,
)

VARIANTS = list(TRAINED)


@pytest.fixture
def adapt(lora):
    def inject_plan(model, **settings) -> list:
        plan = plan_adapters(model, lora(**{"rank": 4} | settings))
        inject(model, plan, generator=torch.Generator().manual_seed(6))
        return plan

    return inject_plan


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rank", [1, 8, 16])
def test_an_injected_model_computes_bit_for_bit_what_it_did(base, adapt, ids, rank, variant):
    with torch.no_grad():
        before = base(ids)
        plan = adapt(base, rank=rank, variant=variant)
        assert torch.equal(base(ids), before)
    assert len(plan) == 12
    assert all(base.get_submodule(entry.module).lora_A.any() for entry in plan)
    assert present_plan(base) == plan


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "mlp.c_proj"]])
def test_exactly_plan_and_head_are_trainable(base, adapt, targets, variant):
    plan = adapt(base, targets=targets, variant=variant)
    add_head(base, labels=3, bias=True, seed=1)
    expected = {f"{e.module}.{tensor}" for e in plan for tensor in TRAINED[variant]}
    assert set(planned_names(plan)) == expected
    trainable = {name for name, p in base.named_parameters() if p.requires_grad}
    assert trainable == expected | {"head.weight", "head.bias"}


def test_a_plan_that_lists_a_layer_twice_names_the_adapter_in_the_adapter(base, lora):
    plan = add_adapters(base, lora(rank=2, injections=2), seed=1)
    assert len(plan) == 24
    trainable = [name for name, p in base.named_parameters() if p.requires_grad]
    assert sorted(planned_names(plan)) == sorted(trainable)
    assert "h.0.attn.q_proj.base.lora_B" in trainable


def test_a_second_injection_raises_and_touches_nothing(base, adapt, lora):
    adapt(base, targets=["q_proj"])
    again = plan_adapters(base, lora(rank=4))
    modules = {name: id(module) for name, module in base.named_modules()}
    trainable = {name: p.requires_grad for name, p in base.named_parameters()}
    for plan in (again, [entry for entry in again if entry.module.endswith("c_fc")]):
        with pytest.raises(LoralabError, match=r"h\.0\.attn\.q_proj and 1 more already have"):
            inject(base, plan)
    assert {name: id(module) for name, module in base.named_modules()} == modules
    assert {name: p.requires_grad for name, p in base.named_parameters()} == trainable


def test_a_second_injection_that_may_exist_keeps_what_was_trained(
    new_classifier, lora, frozen_hash
):
    model = new_classifier()
    before, frozen = adapter_state(model), frozen_hash(model)
    inject(model, plan_adapters(model, lora(rank=4, alpha=8)), exist_ok=True)
    after = adapter_state(model)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(tensor.any() for name, tensor in after.items() if name.endswith("lora_B"))
    assert frozen_hash(model) == frozen


@pytest.mark.parametrize(
    "other", [{"rank": 2}, {"alpha": 9}, {"variant": "rslora"}, {"targets": ["q_proj"]}]
)
def test_adapters_of_another_plan_may_not_exist(new_classifier, lora, other):
    model = new_classifier()
    before = adapter_state(model)
    plan = plan_adapters(model, lora(**{"rank": 4, "alpha": 8} | other))
    with pytest.raises(LoralabError, match="already have adapters"):
        inject(model, plan, exist_ok=True)
    assert all(torch.equal(t, before[name]) for name, t in adapter_parameters(model))


def test_dora_is_never_nested(base, lora):
    first, second = (plan_adapters(base, lora(rank=2, variant=v)) for v in ("dora", "lora"))
    inject(base, first)
    with pytest.raises(LoralabError, match="already have adapters"):
        inject(base, second, nest=True)


def test_the_hash_of_frozen_tensors_sees_no_others(base, adapt, frozen_hash):
    adapt(base)
    before = frozen_hash(base)
    with torch.no_grad():
        base.h[0].attn.q_proj.lora_B.add_(1.0)
        assert frozen_hash(base) == before
        base.h[1].mlp.c_fc.base.bias[0] += 1e-3
    assert frozen_hash(base) != before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"module": "h.2.mlp.c_fc"}, r"h\.2\.mlp\.c_fc is adapted and is no linear layer"),
        ({"module": "h.0.ln_1"}, "is no linear layer"),
        ({"in_features": 17}, "is 17 to 64, in the base model 16 to 64"),
        ({"variant": "adalora"}, "there is no adalora of rank 4"),
        ({"rank": 0}, "there is no lora of rank 0"),
        ({"module": "h.1.mlp.c_proj", "in_features": 64, "out_features": 16}, "is listed twice"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_before_anything_is_touched(base, lora, change, words):
    plan = plan_adapters(base, lora(rank=4))
    plan[-2] = dataclasses.replace(plan[-2], **change)
    trainable = [p.requires_grad for p in base.parameters()]
    with pytest.raises(LoralabError, match=words):
        inject(base, plan)
    assert present_plan(base) == []
    assert [p.requires_grad for p in base.parameters()] == trainable


def test_adapters_of_another_dropout_may_not_exist(base, lora):
    plan = plan_adapters(base, lora(rank=4))
    inject(base, plan, dropout=0.1)
    inject(base, plan, dropout=0.1, exist_ok=True)
    with pytest.raises(LoralabError, match="already have adapters"):
        inject(base, plan, dropout=0.5, exist_ok=True)


@pytest.mark.parametrize("training", [True, False])
def test_adapters_and_head_are_in_the_mode_of_the_model(base, lora, training):
    base.train(training)
    inject(base, plan_adapters(base, lora(rank=4)), dropout=0.5)
    add_head(base, labels=2, bias=True, seed=1)
    assert {module.training for module in base.modules()} == {training}


def test_state_taken_from_one_model_fills_another(new_classifier, ids, lengths):
    model, other = new_classifier(), new_classifier(trained=False)
    load_adapter_state(other, adapter_state(model))
    with torch.no_grad():
        assert torch.equal(other.classify(ids, lengths), model.classify(ids, lengths))


def test_taken_state_is_a_copy(new_classifier):
    model = new_classifier()
    before = adapter_state(model)
    with torch.no_grad():
        model.h[0].attn.q_proj.lora_B.zero_()
    assert before["h.0.attn.q_proj.lora_B"].any()


def test_state_that_does_not_fit_is_named_and_nothing_is_filled(new_classifier):
    model = new_classifier(trained=False)
    state = adapter_state(new_classifier())
    del state["h.0.attn.q_proj.lora_A"]
    state |= {"h.9.lora_A": torch.ones(1), "h.1.mlp.c_fc.lora_B": torch.ones(64, 3)}
    with pytest.raises(LoralabError) as error:
        load_adapter_state(model, state)
    for line in (
        "h.0.attn.q_proj.lora_A is missing",
        "h.9.lora_A is unexpected",
        "h.1.mlp.c_fc.lora_B has the shape [64, 3], expected [64, 4]",
    ):
        assert line in str(error.value)
    assert not any(t.any() for name, t in adapter_parameters(model) if name.endswith("lora_B"))
