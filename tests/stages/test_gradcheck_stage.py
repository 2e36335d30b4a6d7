"""The stage `gradcheck` as a command: it passes a sound model and stops a sabotaged one."""

import json
from pathlib import Path

import pandas as pd
import pytest

OUT = "results/embedded/gradcheck"


@pytest.fixture
def before(saved_base, tmp_path, files) -> set[str]:
    """What lies there before the stage runs: a tiny base model and the plan."""
    plan = tmp_path / "results" / "embedded" / "inject" / "plan.csv"
    plan.parent.mkdir(parents=True)
    plan.write_text("module\n")
    return files()


def test_a_sound_model_passes_and_its_gradients_are_counted(before, run_stage, files, tmp_path):
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


# Sabotages. Each runs before the stage, in its process.

CARELESS_FREEZING = """
add_adapters, add_head = module.add_adapters, module.add_head
def leave_some_trainable(model, *rest):
    add_adapters(model, *rest)
    model.h[1].mlp.c_fc.base.weight.requires_grad_(True)
    model.head.weight.requires_grad_(True)
def freeze_the_head(model, *rest):
    add_head(model, *rest)
    model.head.bias.requires_grad_(False)
module.add_adapters, module.add_head = leave_some_trainable, freeze_the_head
"""

A_DETACHED_A = """
from loralab.model.lora import LoRALinear, functional
def forward(self, x):
    low = functional.linear(self.dropout(x), self.lora_A.detach())
    return self.base(x) + self.scaling * functional.linear(low, self.lora_B)
LoRALinear.forward = forward
"""

AN_ADAPTER_MERGED_INTO_ITS_LAYER_BY_EVERY_STEP = """
from loralab.model.lora import LoRALinear
forward = LoRALinear.forward
def merging(self, x):
    self.base.weight.data += self.scaling * self.lora_B.data @ self.lora_A.data
    return forward(self, x)
LoRALinear.forward = merging
"""

A_B_THAT_THE_OPTIMISER_LACKS = """
class Forgetful(module.torch.optim.AdamW):
    def __init__(self, parameters, **options):
        super().__init__([p for p in parameters if p.shape[1:] != (2,)], **options)
module.torch.optim.AdamW = Forgetful
"""


@pytest.mark.parametrize(
    ("sabotage", "lines"),
    [
        (
            CARELESS_FREEZING,
            [
                "h.1.mlp.c_fc.base.weight is trainable and should be frozen",
                "head.weight is trainable and should be frozen",  # that onto the vocabulary
                "head.bias is frozen and should be trainable",  # that onto the labels
            ],
        ),
        (A_DETACHED_A, ["h.0.attn.q_proj.lora_A is trainable and has no gradient"]),
        (
            AN_ADAPTER_MERGED_INTO_ITS_LAYER_BY_EVERY_STEP,
            ["h.0.attn.q_proj.base.weight is frozen and was changed by an optimiser step"],
        ),
        (
            A_B_THAT_THE_OPTIMISER_LACKS,
            ["h.0.attn.q_proj.lora_B did not move in 3 optimiser steps"],
        ),
    ],
    ids=["careless freezing", "detached A", "merged adapter", "forgotten B"],
)
def test_a_sabotaged_model_stops_the_stage_by_the_tensors_name(
    before, run_stage, files, tmp_path: Path, sabotage, lines
):
    done = run_stage("gradcheck", sabotage=sabotage)
    assert done.returncode == 1
    assert done.stderr.startswith("loralab gradcheck: error: the gradient check failed:")
    assert "Traceback" not in done.stderr
    for line in lines:
        assert line in done.stderr
    assert files() == before
    assert not (tmp_path / OUT).exists()
