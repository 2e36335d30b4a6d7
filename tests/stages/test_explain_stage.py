"""The stage `explain`: whom it explains, from the model that the run trained."""

import json
import math

import pandas as pd
import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.adapters import save_adapter
from loralab.model.checkpoints import load_base
from loralab.model.classifier import add_adapters, add_head
from loralab.model.lora import merge, unmerge
from loralab.stages import explain
from loralab.stages.inference import load_classifier

# id, label, predicted, probability of the last label, text
TEST = [
    (3, "ham", "spam", 0.9, "call me"),
    (4, "ham", "ham", 0.3, "now"),
    (5, "spam", "spam", 0.99, "call me now"),
    (6, "spam", "spam", 0.98, "me now, call me"),
    (7, "spam", "spam", 0.97, "a now"),
    (8, "spam", "ham", 0.45, "now, now"),
    (9, "spam", "ham", 0.1, "me"),
    (10, "ham", "spam", 0.6, "call"),
    (11, "ham", "ham", 0.2, "me, me"),
]


@pytest.fixture
def explained(tmp_path, job, saved_base, saved_tokenizer, lora, monkeypatch):
    """Run the stage on a model with a random adapter; return the job and what it wrote."""

    def run(rows=TEST, labels=("ham", "spam"), head=None, drawn=False, **settings):
        for name in () if drawn else ("attributions", "adapter_change"):
            monkeypatch.setattr(explain, name, lambda _, output: output.touch())
        this = job(head=head or {}, lora=settings)
        saved_tokenizer()
        save_random_adapter(this, saved_base, lora(**{"rank": 2, "alpha": 4} | settings), labels)
        save_test_split(tmp_path / "results" / "embedded", rows, labels)
        explain.run(this)
        assert set(explain.STAGE.outputs) == {path.name for path in this.folder.iterdir()}
        found = json.loads((this.folder / "attributions.json").read_text(encoding="utf-8"))
        return this, found, pd.read_csv(this.folder / "adapter_change.csv")

    return run


def save_random_adapter(this, base, settings, labels):
    model = load_base(base)
    add_adapters(model, settings, seed=3)
    add_head(model, len(labels), bias=True, seed=3)
    drawn = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(0.0, 0.5, generator=drawn)
            if name.endswith("lora_magnitude"):
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 2, generator=drawn))
    save_adapter(model, list(labels), "base", this.layout.adapter)


def save_test_split(folder, rows, labels):
    for name in ("split", "evaluate"):
        (folder / name).mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["id", "label", "predicted", "p", "text"])
    table[["id", "label", "text"]].to_csv(folder / "split" / "test.csv", index=False)
    predictions = table[["id", "label", "predicted"]].assign(**{f"p_{n}": 0.0 for n in labels})
    predictions[f"p_{labels[0]}"], predictions[f"p_{labels[-1]}"] = 1 - table["p"], table["p"]
    train = predictions.assign(split="train", id=100, label="x")
    both = pd.concat([train, predictions.assign(split="test")])
    both.to_csv(folder / "evaluate" / "predictions.csv", index=False)


def test_the_most_confident_wrong_and_right_answers_are_explained_labels_in_turn(explained):
    _, found, _ = explained()
    chosen = [(message["id"], message["confidence"]) for message in found["messages"]]
    assert chosen == [(3, 0.9), (9, 0.9), (10, 0.6), (5, 0.99), (11, 0.8), (6, 0.98)]
    assert {message["explained"] for message in found["messages"]} == {"spam"}


@pytest.mark.parametrize("position", ["last_token", "padding"])
@pytest.mark.parametrize("variant", ["lora", "dora"])
def test_what_is_explained_is_the_answer_of_the_run_s_own_classifier(explained, position, variant):
    this, found, _ = explained(head={"position": position}, variant=variant)
    classifier = load_classifier(this.layout, torch.device("cpu"))
    texts = {row[0]: row[-1] for row in TEST}
    for message in found["messages"]:
        ((ham, spam),) = classifier.probabilities([texts[message["id"]]])
        assert message["output"] == pytest.approx(math.log(spam / ham), abs=1e-5)
        assert message["complete"]
        values = [token["attribution"] for token in message["tokens"]]
        assert sum(values) == pytest.approx(message["difference"], rel=1e-3, abs=1e-4)
        assert "".join(t["token"] for t in message["tokens"]) == texts[message["id"]]


@pytest.mark.parametrize(
    ("settings", "modules", "rank"),
    [
        ({}, 12, 2),
        ({"variant": "rslora"}, 12, 2),
        ({"variant": "dora"}, 12, 2),
        ({"injections": 2}, 12, 4),
        ({"targets": ["q_proj", "v_proj"]}, 4, 2),
    ],
)
def test_every_adapted_layer_has_a_row_of_its_change(explained, settings, modules, rank):
    this, _, changes = explained(**settings)
    model = load_classifier(this.layout, torch.device("cpu")).model
    unmerge(model)
    merge(model.double())  # from float32's numbers, without its rounding
    assert len(changes) == modules and set(changes["rank"]) == {rank}
    for change in changes.itertuples():
        layer = model.get_submodule(change.module)
        moved = layer.weight - layer.kept_weight
        assert change.norm == pytest.approx(float(moved.norm()), rel=1e-10)
        relative = float(moved.norm() / layer.kept_weight.norm())
        assert change.relative_norm == pytest.approx(relative, rel=1e-10)


def test_of_three_labels_the_one_predicted_is_explained(explained):
    rows = [(1, "a", "c", 0.9, "call me"), (2, "c", "c", 0.8, "now"), (3, "a", "a", 0.2, "me")]
    _, found, _ = explained(rows, labels=("a", "b", "c"))
    assert found["positive"] is None
    assert [message["explained"] for message in found["messages"]] == ["c", "c", "a"]


@pytest.mark.parametrize("predicted", ["ham", "spam"])
def test_a_split_of_which_all_is_right_or_all_is_wrong_is_explained(explained, predicted):
    _, found, _ = explained(
        [(1, "ham", predicted, 0.5, "call me"), (2, "ham", predicted, 0.5, "me")]
    )
    assert [message["id"] for message in found["messages"]] == [1, 2]


def test_a_long_message_is_cut_and_said_to_be(explained):
    _, found, _ = explained([(1, "ham", "spam", 0.9, "xyz" * 20)])
    (message,) = found["messages"]
    assert message["cut"] and len(message["tokens"]) == 32


def test_a_label_that_the_adapter_does_not_have_is_told(explained):
    rows = [(1, "a", "d", 0.9, "call me")]
    with pytest.raises(LoralabError, match="predicts 'd'.*run evaluate again"):
        explained(rows, labels=("a", "b", "c"))


def test_the_same_inputs_give_the_same_bytes(explained, tmp_path):
    this, *_ = explained(drawn=True)
    before = {path.name: path.read_bytes() for path in this.folder.iterdir()}
    explain.run(this)
    assert {path.name: path.read_bytes() for path in this.folder.iterdir()} == before
