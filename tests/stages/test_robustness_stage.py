"""The stage `robustness` whatever the labels: who is asked what, and what is written of it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from loralab.data.stress import read_stress_set
from loralab.model.tokenizer import load_tokenizer
from loralab.stages import robustness, text_baseline

TRAIN = [("ham", "see you at lunch then"), ("spam", "win £900 now, call 0909 879 0321")]
TEST = [
    ("spam", "win £500, call 0909 879 0654"),
    ("spam", "free love tonight"),
    ("ham", "lunch at &lt;#&gt;?"),
    ("ham", "you owe me £5, see you"),
]


@pytest.fixture
def asked(tmp_path, job, saved_tokenizer, monkeypatch):
    """Run the stage with a classifier that calls what has a pound sign the last of its labels."""

    def run(labels, train=TRAIN, validation=(), test=TEST):
        folder = tmp_path / "results" / "embedded" / "split"
        folder.mkdir(parents=True)
        for name, rows in {"train": 4 * train, "validation": validation, "test": test}.items():
            table = pd.DataFrame(rows, columns=["label", "text"])
            table.insert(0, "id", range(7, 7 + len(table)))
            table.to_csv(folder / f"{name}.csv", index=False)
        this = job()
        tokenizer = load_tokenizer(saved_tokenizer())

        def probabilities(texts):
            assert texts and all(isinstance(text, str) for text in texts)
            places = [len(labels) - 1 if "£" in text else 0 for text in texts]
            return np.eye(len(labels))[places]

        classifier = SimpleNamespace(
            labels=labels, probabilities=probabilities, tokenizer=tokenizer, config=this.config
        )
        monkeypatch.setattr(robustness, "load_classifier", lambda *given: classifier)
        robustness.run(this)
        found = json.loads((this.folder / "robustness.json").read_text())
        assert set(robustness.STAGE.outputs) == {path.name for path in this.folder.iterdir()}
        return found, pd.read_csv(this.folder / "predictions.csv", keep_default_na=False)

    return run


def masks_of(found: dict) -> dict[str, dict]:
    return {row["mask"]: row for row in found["probe"]["masks"]}


def test_the_probe_asks_of_a_message_with_and_without_its_artefacts(asked):
    found, predictions = asked(["ham", "spam"])
    row = masks_of(found)["pound_sign"]
    assert (row["n"], row["by_label"]) == (2, {"ham": 1, "spam": 1})
    own = row["systems"]["adapter"]
    assert own["before"]["right_by_label"] == {"ham": 0, "spam": 1}
    assert own["after"]["right_by_label"] == {"ham": 1, "spam": 0}
    assert (own["turned_wrong"], own["turned_right"], own["p_value"]) == (1, 1, 1.0)
    assert found["probe"]["systems"]["adapter"]["right"] == 2
    part = predictions[predictions["part"] == "masked_pound_sign"]
    assert list(part["id"]) == ["7", "10"] * 2 and set(part["predicted"]) >= {"ham"}
    own_rows = part[part["system"] == "adapter"]
    assert list(own_rows["p_ham"].astype(float)) == [1.0, 1.0]
    together = masks_of(found)["all"]
    assert (together["n"], together["by_label"]) == (3, {"ham": 2, "spam": 1})


def test_the_stress_set_is_scored_by_the_labels_names_in_whatever_order(asked):
    found, predictions = asked(["spam", "ham"])
    texts = read_stress_set()
    called_ham = texts["text"].str.contains("£")  # the last label
    every = found["stress"][-1]
    assert every["kind"] == "all" and every["n"] == len(texts)
    right = every["systems"]["adapter"]["right_by_label"]
    assert right["ham"] == int((called_ham & (texts["label"] == "ham")).sum()) > 0
    assert right["spam"] == int((~called_ham & (texts["label"] == "spam")).sum()) > 0
    of_kinds = found["stress"][:-1]
    assert sum(row["n"] for row in of_kinds) == every["n"]
    is_right = called_ham == (texts["label"] == "ham")
    of_kind = {row["kind"]: row["systems"]["adapter"]["right"] for row in of_kinds}
    assert of_kind == is_right.groupby(texts["kind"]).sum().to_dict()
    assert {row["kind"]: row["cut"] for row in of_kinds}["very_long"] == 12  # beyond 32 tokens
    part = predictions[predictions["part"] == "stress"]
    assert list(part["id"]) == 2 * list(texts["id"])


def test_the_baseline_is_fitted_on_train_and_chosen_on_validation(asked, monkeypatch):
    given = {}

    def fit(name, train, validation, labels, seed):
        given.update(name=name, train=list(train.inputs), validation=validation, seed=seed)
        return (lambda texts: np.tile([0.0, 1.0], (len(texts), 1))), None

    monkeypatch.setattr(text_baseline, "fit_baseline", fit)
    found, _ = asked(["ham", "spam"], validation=[("spam", "a prize")])
    assert given["name"] == "tfidf_characters" and given["seed"] == 123
    assert given["train"] == [text for _, text in 4 * TRAIN]
    assert list(given["validation"].inputs) == ["a prize"]
    baseline = found["stress"][-1]["systems"]["tfidf_characters"]["right_by_label"]
    assert baseline["ham"] == 0 and baseline["spam"] > 0


@pytest.mark.parametrize("labels", [["no", "yes"], ["spam", "ham", "NA"]])
def test_of_other_labels_the_probe_is_all_there_is(asked, labels):
    rows = [(labels[0], "rain all day"), (labels[-1], "it costs £5")]
    found, predictions = asked(labels, train=rows, test=[*rows, (labels[-1], "lend me £2")])
    assert found["stress"] == [] and ", ".join(labels) in found["why_not_stressed"]
    assert set(predictions["part"]) == {"test", "masked_pound_sign", "masked_all"}
    row = masks_of(found)["pound_sign"]
    assert row["by_label"] == {labels[-1]: 2}
    assert row["systems"]["adapter"]["turned_wrong"] == 2
    assert masks_of(found)["placeholder"]["n"] == 0


def test_messages_without_artefacts_leave_empty_rows_and_no_fault(asked):
    rows = [("no", "rain all day"), ("yes", "sun by noon")]
    found, predictions = asked(["no", "yes"], train=rows, test=rows)
    assert [row["n"] for row in found["probe"]["masks"]] == [0, 0, 0, 0]
    assert set(predictions["part"]) == {"test"}
