"""The stage `gradcheck`: it passes a sound model and stops each sabotaged one by its tensors."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.classifier import add_adapters, add_head
from loralab.model.lora import LoRALinear, adapter_layers, functional, plan_adapters
from loralab.stages import gradcheck
from loralab.stages.plan_file import write_plan
from loralab.training.optimizer import build_optimizer

OUT = "results/embedded/gradcheck"
SITE = "h.0.attn.q_proj"


@pytest.fixture
def planned(saved_base, new_base, lora, tmp_path):
    """Write the plan of an experiment's adapters where the stage looks for it."""

    def write(**settings) -> None:
        path = tmp_path / "results" / "embedded" / "inject" / "plan.csv"
        path.parent.mkdir(parents=True)
        chosen = lora(**{"rank": 2, "alpha": 4} | settings)
        plan = plan_adapters(new_base(), chosen)
        write_plan(plan * chosen.injections, path)

    return write


# --- a sound model --------------------------------------------------------------------------------


def test_a_sound_model_passes_and_its_gradients_are_counted(planned, run_stage, files, tmp_path):
    planned()
    before = files()
    done = run_stage("gradcheck")
    assert (done.returncode, done.stderr) == (0, "")
    names = ("gradients.csv", "gradients.json", "gradients.png", "manifest.json")
    assert files() - before == {f"{OUT}/{name}" for name in names}
    found = json.loads((tmp_path / OUT / "gradients.json").read_text())
    assert (found["passed"], found["problems"]) == (True, [])
    assert found["frozen_unchanged_after_step"] is True
    counts = {
        "trainable_with_gradient": 26,
        "trainable_without_gradient": 0,
        "frozen_with_gradient": 0,
        "frozen_without_gradient": 36,
        "zero_at_start": 12,
    }
    assert found["classifier"] == counts
    # The language model has no head yet but the frozen one onto the vocabulary.
    counts |= {"trainable_with_gradient": 24, "frozen_without_gradient": 37}
    assert found["language_model"] == counts
    table = pd.read_csv(tmp_path / OUT / "gradients.csv")
    assert len(table) == 62 + 61


@pytest.mark.parametrize(
    "settings",
    [
        {"variant": "dora"},
        {"variant": "rslora", "dropout": 0.1},
        {"injections": 2},
        {"targets": ["mlp.c_fc"], "layers": {"first": 1}},
    ],
    ids=["dora", "rslora", "injected twice on purpose", "one layer"],
)
def test_every_experiment_that_is_sound_passes(planned, job, settings):
    planned(**settings)
    this = job(lora=settings)
    gradcheck.run(this)
    found = json.loads((this.folder / "gradients.json").read_text())
    assert found["passed"] is True


# --- the seven sabotages --------------------------------------------------------------------------


def _after_adapters(change):
    """A model in which `change` was made after the adapters were injected."""

    def sabotage(monkeypatch):
        def sabotaged(model, *rest):
            plan = add_adapters(model, *rest)
            change(model)
            return plan

        monkeypatch.setattr(gradcheck, "add_adapters", sabotaged)

    return sabotage


def _unfreeze(model) -> None:
    model.h[1].mlp.c_fc.base.weight.requires_grad_(True)
    model.h[0].ln_1.bias.requires_grad_(True)


def _freeze_an_a(model) -> None:
    model.get_submodule(SITE).lora_A.requires_grad_(False)


def _inject_again(model) -> None:
    layer = LoRALinear(model.get_submodule(SITE), 2, 4)
    model.set_submodule(SITE, layer)
    layer.base.lora_A.requires_grad_(True)
    layer.base.lora_B.requires_grad_(True)


def _detach_b(model) -> None:
    site = model.get_submodule(SITE)

    def forward(x):
        low = functional.linear(x, site.lora_A)
        return site.base(x) + site.scaling * functional.linear(low, site.lora_B.detach())

    site.forward = forward


def _merge_at_every_step(model) -> None:
    site = model.get_submodule(SITE)
    forward = site.forward

    def merging(x):
        site.weight.data += site.scaling * site.lora_B.data @ site.lora_A.data
        return forward(x)

    site.forward = merging


def _spoil_a_gradient(model) -> None:
    model.get_submodule(SITE).lora_B.register_hook(lambda grad: grad * float("nan"))


def _change_a_norm_once(model) -> None:
    def change(module, *_):
        hook.remove()
        module.weight.data[0] += 1

    hook = model.h[1].ln_1.register_forward_hook(change)


def _leave_out_every_a(monkeypatch) -> None:
    def build(model, *rest, **options):
        optimizer = build_optimizer(model, *rest, **options)
        left_out = {id(layer.lora_A) for _, layer in adapter_layers(model)}
        for group in optimizer.param_groups:
            group["params"] = [p for p in group["params"] if id(p) not in left_out]
        return optimizer

    monkeypatch.setattr(gradcheck, "build_optimizer", build)


def _hold_an_a(model) -> None:
    model.get_submodule(SITE).lora_A.register_hook(torch.zeros_like)


def _freeze_the_head(monkeypatch) -> None:
    def sabotaged(model, *rest):
        add_head(model, *rest)
        model.head.requires_grad_(False)

    monkeypatch.setattr(gradcheck, "add_head", sabotaged)


SABOTAGES = {
    "a frozen tensor unfrozen": (
        _after_adapters(_unfreeze),
        [
            "h.1.mlp.c_fc.base.weight is trainable and should be frozen",
            "h.0.ln_1.bias is trainable and should be frozen",
        ],
    ),
    "an A frozen": (
        _after_adapters(_freeze_an_a),
        [
            f"{SITE}.lora_A is frozen and should be trainable",
            f"{SITE}.lora_A did not move in 3 optimiser steps",
        ],
    ),
    "a second injection": (
        _after_adapters(_inject_again),
        [
            f"{SITE}.base.lora_A is trainable and should be frozen",
            f"{SITE}.base.lora_B is trainable and should be frozen",
        ],
    ),
    "a B detached": (
        _after_adapters(_detach_b),
        [
            f"{SITE}.lora_B is trainable and has no gradient",
            f"{SITE}.lora_B did not move in 3 optimiser steps",
        ],
    ),
    "the head frozen": (
        _freeze_the_head,
        [
            "head.weight is frozen and should be trainable",
            "head.bias is frozen and should be trainable",
            "head.weight did not move in 3 optimiser steps",
        ],
    ),
    "a frozen weight changed by a step": (
        _after_adapters(_merge_at_every_step),
        [f"{SITE}.base.weight is frozen and was changed by an optimiser step"],
    ),
    "a NaN gradient": (
        _after_adapters(_spoil_a_gradient),
        [f"{SITE}.lora_B has a gradient that is not finite"],
    ),
    "a frozen weight changed by the first forward pass": (
        _after_adapters(_change_a_norm_once),
        ["h.1.ln_1.weight is frozen and was changed by an optimiser step"],
    ),
    "an optimiser that leaves out every A": (
        _leave_out_every_a,
        [f"{SITE}.lora_A did not move in 3 optimiser steps"],
    ),
    # Beyond the seven: nothing at the first step tells an A that will never learn from others.
    "an A that never learns": (
        _after_adapters(_hold_an_a),
        [f"{SITE}.lora_A did not move in 3 optimiser steps"],
    ),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotaged_model_stops_the_stage_by_the_tensors_name(
    planned, job, monkeypatch, caplog, name
):
    planned()
    sabotage, lines = SABOTAGES[name]
    sabotage(monkeypatch)
    with pytest.raises(LoralabError) as error:
        gradcheck.run(job())
    for line in lines:
        assert line in str(error.value)
    assert "'passed': False" in caplog.text


def test_a_failed_check_ends_with_status_1_and_leaves_nothing(
    planned, run_stage, files, tmp_path: Path
):
    planned()
    before = files()
    done = run_stage("gradcheck", sabotage="module.add_head = lambda model, *rest: None")
    assert done.returncode == 1
    assert done.stderr.startswith("loralab gradcheck: error: the gradient check failed:")
    assert "head.weight is frozen and should be trainable" in done.stderr
    assert "Traceback" not in done.stderr
    assert files() == before
    assert not (tmp_path / OUT).exists()
