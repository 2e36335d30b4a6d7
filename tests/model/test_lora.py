"""LoRA: arithmetic, plan, counts, and what injection refuses."""

import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.checkpoints import frozen_hash, load_base, save_base
from loralab.model.classifier import add_head
from loralab.model.gpt2 import GPT2, SIZES, GPT2Shape, replace_head
from loralab.model.lora import (
    LoRALinear,
    count_parameters,
    inject,
    plan_adapters,
)
from torch import nn
from torch.nn import functional


def _adapt(model, targets="all-linear", rank=4, **options) -> list:
    plan = plan_adapters(model, targets, rank, 2 * rank)
    inject(model, plan, generator=torch.Generator().manual_seed(6), **options)
    return plan


@pytest.mark.parametrize("rank", [1, 8, 16])
def test_an_injected_model_computes_bit_for_bit_what_it_did(base, ids, rank):
    with torch.no_grad():
        before = base(ids)
        plan = _adapt(base, rank=rank)
        assert torch.equal(base(ids), before)
    assert len(plan) == 12
    assert all(base.get_submodule(entry.module).lora_A.any() for entry in plan)


def test_the_adapted_weight_is_that_of_the_worked_example():
    layer = LoRALinear(nn.Linear(4, 6, bias=False), rank=2, alpha=1)
    with torch.no_grad():
        layer.base.weight.fill_(3.0)
        layer.lora_A.copy_(torch.arange(1.0, 9.0).view(2, 4))
        layer.lora_B.copy_(torch.arange(1.0, 13.0).view(6, 2))
        weight = layer(torch.eye(4)).T
    assert weight[0].tolist() == [8.5, 10, 11.5, 13]
    assert weight[1].tolist() == [14.5, 18, 21.5, 25]
    assert weight[5].tolist() == [38.5, 50, 61.5, 73]


def test_forward_equals_the_dense_form_in_float64():
    drawn = torch.Generator().manual_seed(7)
    layer = LoRALinear(nn.Linear(16, 24), rank=5, alpha=3, generator=drawn).double()
    nn.init.normal_(layer.lora_B, generator=drawn)
    x = torch.randn(3, 7, 16, dtype=torch.float64, generator=drawn)
    weight = layer.base.weight + 3 / 5 * layer.lora_B @ layer.lora_A
    dense = functional.linear(x, weight, layer.base.bias)
    torch.testing.assert_close(layer(x), dense, atol=1e-12, rtol=0)


def test_an_adapter_freezes_the_layer_that_it_wraps():
    layer = LoRALinear(nn.Linear(4, 6), rank=2, alpha=1)
    trainable = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    assert trainable == {"lora_A", "lora_B"}


def test_a_begins_kaiming_uniform_and_the_head_as_a_linear_layer_does():
    def drawn():
        return torch.Generator().manual_seed(8)

    layer = LoRALinear(nn.Linear(300, 20), rank=5, alpha=1, generator=drawn())
    expected = nn.init.kaiming_uniform_(torch.empty(5, 300), a=5**0.5, generator=drawn())
    torch.testing.assert_close(layer.lora_A.detach(), expected, atol=1e-7, rtol=0)
    model = GPT2(GPT2Shape(8, 8, 300, 1, 1))
    replace_head(model, 5, bias=False, generator=drawn())
    torch.testing.assert_close(model.head.weight.detach(), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("rank", [1, 8, 16])
def test_counts_at_124_million_equal_the_closed_form(rank):
    with torch.device("meta"):
        model = GPT2(SIZES["gpt2"])
        plan = plan_adapters(model, "all-linear", rank, 16)
        inject(model, plan)
    assert len(plan) == 72
    assert sum(entry.parameters for entry in plan) == 165_888 * rank
    counts = count_parameters(model)
    assert counts["trainable"] == 165_888 * rank
    assert counts["total"] == 163_037_184 + 165_888 * rank


@pytest.mark.parametrize(
    ("injections", "trainable", "total", "percent"),
    [(1, 1_328_642, 125_768_450, 1.06), (2, 2_655_746, 127_095_554, 2.09)],
)
def test_counts_with_a_two_label_head(injections, trainable, total, percent):
    with torch.device("meta"):
        model = GPT2(SIZES["gpt2"])
        plan = plan_adapters(model, "all-linear", 8, 16)
        for _ in range(injections):
            inject(model, plan, nest=True)
        replace_head(model, 2, bias=True)
    counts = count_parameters(model)
    assert counts == {"trainable": trainable, "total": total, "percent": percent}


def test_a_second_injection_raises_and_touches_nothing(base):
    first = _adapt(base, ["q_proj"])
    again = plan_adapters(base, "all-linear", 4, 8)
    modules = {name: id(module) for name, module in base.named_modules()}
    trainable = {name: p.requires_grad for name, p in base.named_parameters()}
    with pytest.raises(LoralabError, match=r"h\.0\.attn\.q_proj and 1 more already have adapters"):
        inject(base, again)
    assert len(first) == 2
    assert {name: id(module) for name, module in base.named_modules()} == modules
    assert {name: p.requires_grad for name, p in base.named_parameters()} == trainable


def test_a_rank_above_the_smaller_side_is_refused(base):
    with pytest.raises(LoralabError, match=r"lora\.rank 17 exceeds 16, .*h\.0\.attn\.q_proj"):
        plan_adapters(base, "all-linear", 17, 16)


def test_a_target_that_matches_nothing_names_near_misses(base):
    with pytest.raises(LoralabError, match=r"'q_porj' matches no layer; .*attn\.q_proj"):
        plan_adapters(base, ["v_proj", "q_porj"], 4, 8)


def test_every_target_that_matches_nothing_is_named(base):
    with pytest.raises(LoralabError, match=r"(?s)'q_porj' matches.*'wte' matches"):
        plan_adapters(base, ["q_porj", "v_proj", "wte"], 4, 8)


@pytest.mark.parametrize("target", ["head", "wte", "wpe", "ln_f", "proj", "attn"])
def test_only_whole_names_of_linear_layers_in_blocks_match(base, target):
    with pytest.raises(LoralabError, match="matches no layer"):
        plan_adapters(base, [target], 4, 8)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["c_proj"], {f"h.{i}.{part}.c_proj" for i in (0, 1) for part in ("attn", "mlp")}),
        (["attn.c_proj"], {"h.0.attn.c_proj", "h.1.attn.c_proj"}),
        (["h.1.mlp.c_fc"], {"h.1.mlp.c_fc"}),
        (["q_proj", "v_proj"], {f"h.{i}.attn.{p}_proj" for i in (0, 1) for p in "qv"}),
    ],
)
def test_targets_are_endings_of_paths(base, targets, expected):
    plan = plan_adapters(base, targets, 4, 8)
    assert {entry.module for entry in plan} == expected
    assert len(plan) == len(expected)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "mlp.c_proj"]])
def test_exactly_plan_and_head_are_trainable(base, targets):
    plan = _adapt(base, targets)
    add_head(base, labels=3, bias=True, seed=1)
    expected = {f"{entry.module}.lora_{part}" for entry in plan for part in "AB"}
    expected |= {"head.weight", "head.bias"}
    assert {name for name, p in base.named_parameters() if p.requires_grad} == expected


def test_beside_a_bf16_base_adapters_head_and_gradients_stay_float32(base, ids, lengths, tmp_path):
    save_base(base, tmp_path)
    model = load_base(tmp_path, dtype=torch.bfloat16)
    _adapt(model)
    add_head(model, labels=2, bias=True, seed=1)
    logits = model.classify(ids, lengths)
    logits.sum().backward()
    assert logits.dtype == torch.float32
    for parameter in model.parameters():
        if parameter.requires_grad:
            assert (parameter.dtype, parameter.grad.dtype) == (torch.float32, torch.float32)
        else:
            assert (parameter.dtype, parameter.grad) == (torch.bfloat16, None)


def test_dropout_acts_on_the_adapter_alone_and_only_while_training():
    layer = LoRALinear(nn.Linear(16, 16), rank=4, alpha=4, dropout=0.5)
    x = torch.ones(64, 16)
    layer.train()
    assert torch.equal(layer(x), layer.base(x))
    nn.init.ones_(layer.lora_B)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_the_frozen_hash_sees_frozen_tensors_alone(base):
    _adapt(base)
    before = frozen_hash(base)
    with torch.no_grad():
        base.h[0].attn.q_proj.lora_B.add_(1.0)
        assert frozen_hash(base) == before
        base.h[1].mlp.c_fc.base.bias[0] += 1e-3
    assert frozen_hash(base) != before
