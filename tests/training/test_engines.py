"""The fast engine trains as the plain one does; which one is taken, and when it is refused."""

import numpy as np
import pytest
import torch
from loralab.errors import LoralabError
from loralab.fast.machine import has_avx512
from loralab.fast.network import FastClassifier
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.lora import adapter_state, merge
from loralab.model.shapes import GPT2Shape
from loralab.training.batches import EncodedTexts
from loralab.training.engines import build_engine
from loralab.training.labelled import LabelledTexts
from loralab.training.loop import train_classifier
from loralab.training.prediction import predict, predict_packed

SHAPE = GPT2Shape(vocabulary=512, context=128, width=64, layers=4, heads=4)


@pytest.fixture(scope="module")
def messages() -> LabelledTexts:
    """Messages of 1 to 100 tokens; those that hold the token 7 are of label 1."""
    drawn = np.random.default_rng(3)
    encoded = [drawn.integers(8, 511, size=drawn.integers(1, 100)).tolist() for _ in range(240)]
    labels = drawn.integers(0, 2, len(encoded))
    for ids, label in zip(encoded, labels, strict=True):
        ids[drawn.integers(0, len(ids))] = 7 if label else 9
    return LabelledTexts(EncodedTexts.from_lists(encoded), labels)


@pytest.fixture
def train(lora, settings, messages):
    """Thirty steps by one engine, from the same start: losses, adapters, the model."""

    def run(engine, dtype=torch.float32, lora_settings=None, **changes):
        model = GPT2(SHAPE, changes.get("dropout", 0.0))
        initialise(model, torch.Generator().manual_seed(1))
        with torch.no_grad():
            model.wte.weight.mul_(25)
        model.to(dtype)
        add_adapters(model, lora(**(lora_settings or {})), seed=2)
        add_head(model, 2, True, seed=2)
        defaults = {"epochs": 1, "batch_size": 8, "learning_rate": 2e-3, "max_length": 128}
        chosen = settings(engine=engine, **defaults | changes)
        fitted = train_classifier(model, messages, None, chosen, seed=1)
        return [row["loss"] for row in fitted.history], adapter_state(model), model, fitted

    return run


@pytest.mark.parametrize("padding", ["dynamic", "lab"])
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_in_float32_thirty_steps_are_those_of_the_plain_engine(train, padding, ratio):
    changes = {"padding": padding, "loraplus_lr_ratio": ratio}
    losses, adapters, *_ = train("plain", **changes)
    found, same, *_ = train("fast", **changes)
    assert len(losses) == 30
    assert found == pytest.approx(losses, abs=1e-4)
    for name, tensor in adapters.items():
        distance = (same[name] - tensor).norm() / tensor.norm()
        assert distance < 1e-3, name


@pytest.mark.parametrize("variant", ["lora", "rslora"])
def test_in_bf16_labels_are_those_of_float32(train, messages, variant):
    changes = {"epochs": 3, "lora_settings": {"variant": variant}}
    _, _, exact, _ = train("plain", **changes)
    _, _, rounded, fitted = train("fast", torch.bfloat16, precision="bf16", **changes)
    assert fitted.engine["name"] == "fast"
    expected = predict(exact, messages.texts, 32).argmax(axis=1)
    found = predict(rounded.float(), messages.texts, 32).argmax(axis=1)
    assert (found == expected).mean() >= 0.995
    assert (expected == messages.labels).mean() > 0.9


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_fast_engine_repeats_itself_bit_for_bit_with_dropout(train, precision):
    dtype = {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
    changes = {"precision": precision, "dropout": 0.1, "lora_settings": {"dropout": 0.1}}
    losses, adapters, *_ = train("fast", dtype, **changes)
    again, same, *_ = train("fast", dtype, **changes)
    assert losses == again
    assert all(torch.equal(tensor, same[name]) for name, tensor in adapters.items())
    dry, *_ = train("fast", dtype, precision=precision)
    assert losses != dry


def test_a_large_batch_is_computed_in_parts_that_add_up(train, monkeypatch):
    losses, adapters, *_ = train("fast")
    monkeypatch.setattr("loralab.training.fast_engine.TOKENS_A_PART", 64)
    found, same, *_ = train("fast")
    assert found == pytest.approx(losses, abs=1e-4)
    for name, tensor in adapters.items():
        torch.testing.assert_close(same[name], tensor, atol=1e-4, rtol=1e-2)


def test_batches_and_passes_have_the_row_counts_that_suit_the_products(
    train, messages, monkeypatch
):
    monkeypatch.setattr("loralab.fast.network.rows_multiple", lambda dtype: 24)
    seen, hidden = [], FastClassifier._hidden
    monkeypatch.setattr(
        FastClassifier,
        "_hidden",
        lambda self, b, *r: seen.append(len(b.ids)) or hidden(self, b, *r),
    )
    model = train("fast")[2]
    steps = len(seen)
    merge(model)
    predict_packed(FastClassifier(model, torch.float32, trained=False), messages.texts)
    assert steps >= 30 and len(seen) > steps
    assert all(rows % 24 == 0 for rows in seen)


OBSTACLES = {
    "the variant dora": {"variant": "dora"},
    "adapters within adapters": {"injections": 2},
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_the_fast_engine_cannot_train_the_plain_one_does_and_says_why(train, obstacle):
    fitted = train("auto", lora_settings=OBSTACLES[obstacle])[3]
    assert fitted.engine["name"] == "plain" and obstacle in fitted.engine["reason"]
    with pytest.raises(LoralabError, match=rf"training.engine is fast.*{obstacle}.*auto or plain"):
        train("fast", lora_settings=OBSTACLES[obstacle])


def test_the_engine_that_was_asked_for_is_taken_and_recorded(train, monkeypatch):
    fast = train("auto")[3].engine
    assert (fast["name"], fast["passes"]) == ("fast", "compiled")
    assert fast["products"] == ("compiled" if has_avx512() else "PyTorch")
    monkeypatch.setattr("loralab.fast.network.can_compile", lambda device: False)
    by_pytorch = {"products": "PyTorch", "passes": "PyTorch"}
    assert train("auto")[3].engine == fast | by_pytorch
    plain = train("plain")[3].engine
    assert plain == {"name": "plain", "reason": "asked for", "compute": "float32"}


def test_every_weight_is_trained_by_the_plain_engine(messages, settings):
    model = GPT2(SHAPE)
    add_head(model, 2, True, seed=2)
    engine = build_engine(model, messages, settings(engine="auto"), seed=1)
    assert "weights of the base model" in engine.description["reason"]


def test_a_state_of_the_other_engine_is_not_taken_up(train, tmp_path, messages, settings, caplog):
    from loralab.training.resume import ResumeFile

    def run(engine, epochs):
        model = GPT2(SHAPE)
        initialise(model, torch.Generator().manual_seed(1))
        model.requires_grad_(False)
        add_head(model, 2, True, seed=2)
        file = ResumeFile(tmp_path, "this one", every=0.0)
        chosen = settings(engine=engine, epochs=epochs)
        return train_classifier(model, messages, None, chosen, seed=1, resume=file)

    run("plain", 1)
    assert run("plain", 2).resumed_from == 30
    assert run("fast", 2).resumed_from is None
    assert "was saved by the engine" in caplog.text
