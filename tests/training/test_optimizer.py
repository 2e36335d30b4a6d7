"""LoRA+: every B at a rate of its own, as PEFT groups it; accumulation adds up to the batch."""

import numpy as np
import pytest
import torch
from loralab.model.lora import adapter_layers
from loralab.training.engines import build_engine
from loralab.training.loop import train_classifier
from loralab.training.optimizer import build_optimizer, set_learning_rate


def _rates(optimizer) -> dict[int, float]:
    return {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_every_b_has_its_multiple_of_the_rate_and_all_else_the_rate(new_classifier):
    model = new_classifier()
    optimizer = build_optimizer(model, 1e-3, b_ratio=16.0, weight_decay=0.01)
    rates = _rates(optimizer)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in rates
        else:
            expected = 16e-3 if name.endswith("lora_B") else 1e-3
            assert rates[id(parameter)] == pytest.approx(expected)
    set_learning_rate(optimizer, 1e-4)
    assert {round(rate, 9) for rate in _rates(optimizer).values()} == {1e-4, 16e-4}


def test_the_groups_are_those_of_pefts_loraplus_optimiser(new_classifier):
    from peft import LoraConfig, get_peft_model
    from peft.optimizers import create_loraplus_optimizer

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(16, 16)

    theirs = get_peft_model(Plain(), LoraConfig(target_modules=["first"], r=4))
    optimizer = create_loraplus_optimizer(
        theirs, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16.0
    )
    names = {id(p): name for name, p in theirs.named_parameters()}
    their_rates = {names[key].split(".")[-3]: rate for key, rate in _rates(optimizer).items()}
    model = new_classifier()
    rates = _rates(build_optimizer(model, 1e-3, b_ratio=16.0, weight_decay=0.01))
    _, layer = next(iter(adapter_layers(model)))
    for name in ("lora_A", "lora_B"):
        assert rates[id(getattr(layer, name))] == pytest.approx(their_rates[name])


def test_without_a_multiple_there_is_one_group_of_all_that_is_trained(new_classifier):
    model = new_classifier()
    optimizer = build_optimizer(model, 1e-3, b_ratio=1.0, weight_decay=0.01)
    (group,) = optimizer.param_groups
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert [id(p) for p in group["params"]] == [id(p) for p in trained]


def test_the_multiple_reaches_the_steps(new_classifier, task, settings):
    moved = {}
    for ratio in (1.0, 8.0):
        model = new_classifier()
        chosen = settings(epochs=1, batch_size=60, loraplus_lr_ratio=ratio, weight_decay=0.0)
        train_classifier(model, task, None, chosen, seed=1)
        moved[ratio] = max(layer.lora_B.abs().max().item() for _, layer in adapter_layers(model))
    # AdamW's first step moves every number by its rate.
    assert moved[1.0] == pytest.approx(5e-3, rel=1e-3)
    assert moved[8.0] == pytest.approx(4e-2, rel=1e-3)


@pytest.mark.parametrize("parts", [2, 3, 4, 8])
def test_a_batch_in_parts_trains_as_the_whole_batch_does(new_classifier, task, settings, parts):
    whole, split = new_classifier(), new_classifier()
    one = train_classifier(whole, task, None, settings(epochs=2), seed=1)
    other = train_classifier(split, task, None, settings(epochs=2, accumulation=parts), seed=1)
    for row, same in zip(one.history, other.history, strict=True):
        assert (row["examples"], row["tokens"]) == (same["examples"], same["tokens"])
        assert row["loss"] == pytest.approx(same["loss"], abs=2e-5)
        assert row["gradient_norm"] == pytest.approx(same["gradient_norm"], rel=1e-3, abs=1e-5)


def test_the_gradient_of_four_parts_of_two_is_that_of_eight(new_classifier, task, settings):
    rows = np.arange(8)
    gradients = []
    for parts in (1, 4):
        model = new_classifier()
        chosen = settings(accumulation=parts, gradient_clip=None)
        engine = build_engine(model, task, chosen, seed=1)
        engine.take(0, [rows], [0.0])
        gradients.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
