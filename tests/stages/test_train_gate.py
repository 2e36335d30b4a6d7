"""What a trained model must hold before it is written, and what its reader is warned of."""

import json
import math

import numpy as np
import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2
from loralab.model.gradient_check import parameter_hashes
from loralab.model.lora import adapter_layers
from loralab.model.tensor_hashes import tensor_sha256
from loralab.stages import train
from loralab.stages.train import _gate, _warnings
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import TrainingRun

SITE = "h.1.mlp.c_fc"


@pytest.fixture
def untrained(new_base, lora) -> GPT2:
    model = new_base()
    add_adapters(model, lora(rank=2, alpha=4.0), seed=2)
    add_head(model, labels=2, bias=True, seed=2)
    return model


@pytest.fixture
def before(untrained) -> dict[str, str]:
    return parameter_hashes(untrained)


@pytest.fixture
def model(untrained, before) -> GPT2:
    """The model after a training that moved all that is trainable."""
    with torch.no_grad():
        for parameter in untrained.parameters():
            if parameter.requires_grad:
                parameter.view(-1)[0] += 1e-6
    return untrained


def set_tensor(model: GPT2, name: str, value: float) -> None:
    with torch.no_grad():
        model.get_parameter(name).view(-1)[-1] = value


def refusal(model: GPT2, before: dict[str, str], steps: int = 3) -> str:
    with pytest.raises(LoralabError) as error:
        _gate(model, before, steps)
    return str(error.value)


def test_a_sound_model_passes_the_gate(model, before):
    _gate(model, before, steps=3)


@pytest.mark.parametrize("name", [f"{SITE}.lora_A", f"{SITE}.lora_B", "head.weight", "head.bias"])
def test_a_trained_tensor_that_did_not_move_is_named(model, before, name):
    before = before | {name: tensor_sha256(model.get_parameter(name))}
    found = refusal(model, before)
    assert found == f"the trained model is not sound: {name} did not move"


def test_after_one_step_nothing_but_b_needs_to_have_moved(untrained, before):
    found = refusal(untrained, before, steps=1)
    assert found.count("lora_B did not move") == 12 and "lora_A" not in found
    with torch.no_grad():
        for _, layer in adapter_layers(untrained):
            layer.lora_B[0, 0] = 1e-6
    _gate(untrained, before, steps=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [f"{SITE}.lora_A", f"{SITE}.lora_B", "head.weight", "head.bias"])
def test_a_trained_tensor_that_is_not_finite_is_named(model, before, name, value):
    set_tensor(model, name, value)
    found = refusal(model, before)
    assert found == f"the trained model is not sound: tensor {name} holds NaN or infinity"


@pytest.mark.parametrize("name", [f"{SITE}.base.weight", "wte.weight", "ln_f.bias"])
def test_a_frozen_weight_that_changed_stops_the_run(model, before, name):
    set_tensor(model, name, 0.125)
    found = refusal(model, before)
    assert found == f"the trained model is not sound: {name} is frozen and changed"


def test_all_that_is_wrong_is_said_at_once(model, before):
    torch.nn.init.zeros_(model.get_submodule(SITE).lora_B)
    set_tensor(model, "head.bias", math.nan)
    set_tensor(model, "wte.weight", 0.125)
    assert refusal(model, before).splitlines() == [
        "the trained model is not sound:",
        f"  - {SITE}.lora_B did not move",
        "  - tensor head.bias holds NaN or infinity",
        "  - wte.weight is frozen and changed",
    ]


# Warnings. Three of the four messages have the second label.

MESSAGES = LabelledTexts(EncodedTexts.from_lists([[1]] * 4), np.array([1, 0, 1, 1]))


def fitted(*accuracies: float, best_epoch: int | None = None) -> TrainingRun:
    epochs = [{"train_accuracy": accuracy} for accuracy in accuracies]
    return TrainingRun(epochs=epochs, best_epoch=best_epoch or len(epochs))


@pytest.mark.parametrize("accuracy", [0.5, 0.75])
def test_an_accuracy_no_better_than_always_the_most_frequent_label_is_a_warning(accuracy):
    assert _warnings(fitted(accuracy), MESSAGES) == [
        f"The train accuracy of {accuracy:.1%} is no better than always answering the most "
        "frequent label (75.0%): this model has learnt nothing."
    ]


def test_a_better_accuracy_is_no_warning():
    assert _warnings(fitted(0.76), MESSAGES) == []


def test_the_epoch_that_was_kept_decides():
    assert _warnings(fitted(0.5, 1.0, 0.5, best_epoch=2), MESSAGES) == []
    assert len(_warnings(fitted(1.0, 0.5, best_epoch=2), MESSAGES)) == 1


# The stage


@pytest.fixture
def ready(saved_base, saved_tokenizer, saved_splits) -> None:
    saved_tokenizer()


def test_the_stage_writes_adapter_history_and_warnings_of_a_sound_training(ready, job):
    wanted = job(training={"learning_rate": 1e-6})
    train.run(wanted)
    written = {p.relative_to(wanted.folder).as_posix() for p in wanted.folder.rglob("*.*")}
    assert written == set(train.STAGE.outputs)
    summary = json.loads((wanted.folder / "training.json").read_text())
    assert summary["epoch_metrics"][0]["train_accuracy"] == 0.5
    assert len(summary["warnings"]) == 1 and "learnt nothing" in summary["warnings"][0]


def test_the_stage_writes_nothing_of_a_training_that_moved_nothing(ready, job, monkeypatch):
    monkeypatch.setattr(train, "train_classifier", lambda *_: fitted(1.0))
    wanted = job()
    with pytest.raises(LoralabError, match="the trained model is not sound:"):
        train.run(wanted)
    assert list(wanted.folder.iterdir()) == []
