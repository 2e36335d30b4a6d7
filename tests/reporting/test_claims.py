"""The ledger's rows on training, completed with what the run measured."""

import pytest
from loralab.reporting.claims import with_training_figures

GPT2 = {"source": "url", "size": "gpt2"}
TRAINING = {
    "steps": 149,
    "epoch_metrics": [{"seconds": 12.34, "running_loss": 0.21239, "running_accuracy": 0.91812}],
}
IDS = ("interrupted", "seconds", "loss", "train_accuracy", "test_accuracy")


def ledger(base=GPT2, protocol="lab", data_verdict="reproduced", interval=(0.95, 0.99)):
    published = dict.fromkeys(IDS, 1.0) | {"test_accuracy": 97.99, "interrupted": "interrupted"}
    rows = [
        {
            "id": f"training.{name}",
            "published": published[name],
            "measured": None,
            "verdict": "refuted" if name == "interrupted" else "not comparable",
            "explanation": "",
        }
        for name in IDS
    ]
    data = {"id": "data.messages", "published": 5572, "measured": 5572, "verdict": data_verdict}
    metrics = {"splits": {"test": {"accuracy": 0.97659, "accuracy_ci95": list(interval)}}}
    found = with_training_figures([data, *rows], TRAINING, metrics, base, protocol)
    assert found[0] == data
    return {row["id"].removeprefix("training."): row for row in found[1:]}


def test_every_row_on_training_gets_the_figure_of_the_run():
    found = {name: row["measured"] for name, row in ledger().items()}
    assert found == {
        "interrupted": "149 steps, to the end",
        "seconds": 12.3,
        "loss": 0.2124,
        "train_accuracy": 91.81,
        "test_accuracy": 97.66,
    }


@pytest.mark.parametrize(
    ("interval", "verdict"), [((0.95, 0.99), "reproduced"), ((0.90, 0.97), "corrected")]
)
def test_a_run_like_the_labs_reproduces_the_test_accuracy_if_its_interval_holds_it(
    interval, verdict
):
    found = ledger(interval=interval)
    assert found["test_accuracy"]["verdict"] == verdict
    assert found["loss"]["verdict"] == found["seconds"]["verdict"] == "not comparable"
    assert found["interrupted"]["verdict"] == "refuted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"base": {"source": "random", "size": "gpt2"}}, "not GPT-2 124M's weights"),
        ({"base": {"source": "url", "size": "gpt2-medium"}}, "not GPT-2 124M's weights"),
        ({"protocol": "stratified"}, "split by protocol stratified"),
        ({"data_verdict": "not comparable"}, "other messages"),
    ],
)
def test_a_run_unlike_the_labs_is_not_compared_and_says_why(change, reason):
    row = ledger(**change)["test_accuracy"]
    assert row["verdict"] == "not comparable" and row["measured"] == 97.66
    assert reason in row["explanation"]
