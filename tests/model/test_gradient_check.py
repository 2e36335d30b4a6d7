"""The gradient check passes a sound model and names what is wrong with a sabotaged one."""

from dataclasses import replace

import pytest
import torch
from loralab.model.gradient_check import (
    STEPS,
    gradient_problems,
    gradients,
    parameter_hashes,
    step_problems,
    summarise,
)
from loralab.model.lora import LoRALinear, adapter_layers, adapter_parameters
from torch.nn import functional

SITE = "h.0.attn.q_proj"


@pytest.fixture
def model(new_classifier):
    return new_classifier(trained=False)


@pytest.fixture
def expected(model) -> set[str]:
    return {name for name, _ in adapter_parameters(model)} | {"head.weight", "head.bias"}


@pytest.fixture
def loss(ids, lengths):
    def compute(model):
        labels = torch.tensor([0, 1, 0, 1])
        return functional.cross_entropy(model.classify(ids, lengths), labels)

    return compute


def _steps(model, loss, expected):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    before = parameter_hashes(model)
    return step_problems(model, optimizer, lambda: loss(model), expected, before)


def test_a_sound_model_has_no_problems(model, expected, loss):
    rows = gradients(model, loss(model))
    assert gradient_problems(model, rows, expected) == []
    assert _steps(model, loss, expected) == (True, [])


def test_at_the_start_exactly_the_gradients_of_every_a_are_zero(model, loss):
    rows = gradients(model, loss(model))
    zero = {row.parameter for row in rows if row.gradient and row.norm == 0}
    assert zero == {f"{name}.lora_A" for name, _ in adapter_layers(model)}
    assert summarise(rows) == {
        "trainable_with_gradient": 26,
        "trainable_without_gradient": 0,
        "frozen_with_gradient": 0,
        "frozen_without_gradient": 36,
        "zero_at_start": 12,
    }


def test_a_frozen_tensor_unfrozen_is_named(model, expected, loss):
    model.h[1].ln_1.weight.requires_grad_(True)
    rows = gradients(model, loss(model))
    found = gradient_problems(model, rows, expected)
    assert found == ["h.1.ln_1.weight is trainable and should be frozen"]


def test_an_a_that_is_frozen_is_named(model, expected, loss):
    model.get_submodule(SITE).lora_A.requires_grad_(False)
    rows = gradients(model, loss(model))
    found = gradient_problems(model, rows, expected)
    assert found == [f"{SITE}.lora_A is frozen and should be trainable"]
    assert _steps(model, loss, expected)[1] == [
        f"{SITE}.lora_A did not move in {STEPS} optimiser steps"
    ]


def test_a_second_injection_is_named_at_every_inner_adapter(new_classifier, expected, loss):
    twice = new_classifier(injections=2, trained=False)
    found = gradient_problems(twice, gradients(twice, loss(twice)), expected)
    inner = [name for name, _ in adapter_parameters(twice) if ".base.lora_" in name]
    assert len(inner) == 24
    assert sorted(found) == sorted(f"{n} is trainable and should be frozen" for n in inner)


def test_a_b_cut_off_from_the_loss_is_named(model, expected, loss, monkeypatch):
    site = model.get_submodule(SITE)

    def detached(x):
        low = functional.linear(x, site.lora_A)
        return site.base(x) + site.scaling * functional.linear(low, site.lora_B.detach())

    monkeypatch.setattr(site, "forward", detached)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert found == [f"{SITE}.lora_B is trainable and has no gradient"]
    assert (
        f"{SITE}.lora_B did not move in {STEPS} optimiser steps" in _steps(model, loss, expected)[1]
    )


def test_a_head_that_is_frozen_is_named(model, expected, loss):
    model.head.requires_grad_(False)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert sorted(found) == [
        "head.bias is frozen and should be trainable",
        "head.weight is frozen and should be trainable",
    ]


def test_a_frozen_weight_that_a_step_changes_is_named(model, expected, loss):
    model.h[0].mlp.c_fc.base.weight.requires_grad_(True)
    unchanged, found = _steps(model, loss, expected)
    assert not unchanged
    assert found == ["h.0.mlp.c_fc.base.weight is frozen and was changed by an optimiser step"]


def test_a_b_that_is_not_zero_at_the_start_is_named(model, expected, loss):
    torch.nn.init.ones_(model.get_submodule(SITE).lora_B)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert f"{SITE}.lora_B is not zero at the start" in found


def test_a_tensor_that_becomes_nan_in_a_later_step_is_named(model, expected, loss):
    model.get_submodule(SITE).lora_A.register_hook(
        lambda grad: grad * float("nan") if grad.any() else grad
    )
    assert gradient_problems(model, gradients(model, loss(model)), expected) == []
    _, found = _steps(model, loss, expected)
    assert f"tensor {SITE}.lora_A holds NaN or infinity after {STEPS} optimiser steps" in found


def test_a_gradient_of_nan_is_named(model, expected, loss):
    model.get_submodule(SITE).lora_B.register_hook(lambda grad: grad * float("nan"))
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert found == [f"{SITE}.lora_B has a gradient that is not finite"]


def test_a_gradient_of_exactly_zero_is_named(model, expected, loss):
    model.get_submodule(SITE).lora_B.register_hook(torch.zeros_like)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert found == [f"{SITE}.lora_B has a gradient of exactly zero"]


def test_an_a_with_a_gradient_behind_a_zero_b_is_named(model, expected, loss):
    model.get_submodule(SITE).lora_A.register_hook(torch.ones_like)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert found == [f"{SITE}.lora_A has a gradient, which at the start is exactly zero"]


def test_an_expected_tensor_that_is_not_there_is_named(model, expected, loss):
    site = model.get_submodule(SITE)
    assert isinstance(site, LoRALinear)
    model.set_submodule(SITE, site.base)
    found = gradient_problems(model, gradients(model, loss(model)), expected)
    assert found == [f"{SITE}.lora_{p} should be trainable and is not there" for p in "AB"]


def test_a_frozen_tensor_with_a_gradient_is_named(model, expected, loss):
    rows = gradients(model, loss(model))
    name = f"{SITE}.base.weight"
    tampered = [replace(r, gradient=True, norm=1.0) if r.parameter == name else r for r in rows]
    problems = gradient_problems(model, tampered, expected)
    assert problems == [f"{name} is frozen and has a gradient"]
