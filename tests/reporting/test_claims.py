"""The verdict on every number of the published report, before a run's training and after it."""

import copy

import pytest
from loralab.reporting.claims import (
    LAB_DATA_SHA256,
    LAB_RECIPE,
    LAB_WEIGHTS_SHA256,
    claims_before_training,
    differences_from_the_lab,
    with_training_figures,
)

ONCE = {
    "modules": 72,
    "language_model": {"trainable": 1_327_104, "total": 164_364_288, "percent": 0.81},
    "classifier": {"trainable": 1_328_642, "total": 125_768_450, "percent": 1.06},
    "head": 1_538,
    "with_gradient": 144,
    "frozen_without": 197,
}
TWICE = ONCE | {
    "modules": 144,
    "classifier": {"trainable": 2_655_746, "total": 127_095_554, "percent": 2.09},
    "with_gradient": 288,
}
LAB_SPLIT = {
    "messages": 5572,
    "balanced": 1494,
    "balance": "undersample",
    "protocol": "lab",
    "train_share": 1.0,
    "splits": {"train": {"n": 1195}, "test": {"n": 299}},
}
TRAINING = {
    "steps": 149,
    "epoch_metrics": [{"seconds": 12.34, "running_loss": 0.21239, "running_accuracy": 0.91812}],
}


def before_training(split=LAB_SPLIT, data_sha256=LAB_DATA_SHA256, cannot_fail=True, once=ONCE):
    claims = claims_before_training(once, TWICE, cannot_fail, split, data_sha256)
    assert len({claim["id"] for claim in claims}) == len(claims)
    return {claim["id"]: claim for claim in claims}


def after_training(differences=(), interval=(0.95, 0.99), injections=1):
    metrics = {"splits": {"test": {"accuracy": 0.97659, "accuracy_ci95": list(interval)}}}
    before = list(before_training().values())
    claims = with_training_figures(before, TRAINING, metrics, list(differences), injections)
    assert [c for c in claims if not c["id"].startswith("training.")] == [
        c for c in before if not c["id"].startswith("training.")
    ]
    return {claim["id"]: claim for claim in claims}


def lab_settings():
    settings = {}
    for key, value in LAB_RECIPE.items():
        *parents, leaf = key.split(".")
        section = settings
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return settings


# Before training


@pytest.mark.parametrize(
    ("name", "published", "measured", "verdict"),
    [
        ("injection.trainable", 1_327_104, 1_327_104, "reproduced"),
        ("injection.total", 164_364_288, 164_364_288, "reproduced"),
        ("injection.percent", 0.81, 0.81, "reproduced"),
        ("classifier.trainable", 2_655_746, 1_328_642, "corrected"),
        ("classifier.total", 127_095_554, 125_768_450, "corrected"),
        ("classifier.percent", 2.09, 1.06, "corrected"),
        ("double_injection.trainable", 2_655_746, 2_655_746, "reproduced"),
        ("double_injection.total", 127_095_554, 127_095_554, "reproduced"),
        ("double_injection.percent", 2.09, 2.09, "reproduced"),
        ("head.explains_increase", 1_328_642, 1_538, "refuted"),
        ("gradients.with", 288, 144, "corrected"),
        ("gradients.without", 197, 197, "reproduced"),
        ("double_injection.gradients.with", 288, 288, "reproduced"),
        ("gradients.success", "SUCCESS", "SUCCESS with every B frozen", "refuted"),
        ("data.messages", 5572, 5572, "reproduced"),
        ("data.balanced", 1494, 1494, "reproduced"),
        ("data.train", 1195, 1195, "reproduced"),
        ("data.test", 299, 299, "reproduced"),
        ("training.interrupted", "interrupted", None, "refuted"),
        ("training.seconds", 1646, None, "not comparable"),
        ("training.loss", 0.1980, None, "not comparable"),
        ("training.train_accuracy", 92.20, None, "not comparable"),
        ("training.test_accuracy", 97.99, None, "not comparable"),
    ],
)
def test_each_claim_has_its_measured_value_and_verdict(name, published, measured, verdict):
    claim = before_training()[name]
    assert (claim["published"], claim["measured"]) == (published, measured)
    assert claim["verdict"] == verdict
    assert claim["explanation"]


def test_every_claim_is_among_those_checked_here():
    assert len(before_training()) == 23


def test_verdicts_follow_from_what_was_measured():
    other = ONCE | {"head": 1_328_642, "with_gradient": 288, "frozen_without": 196}
    found = before_training(once=other, cannot_fail=False)
    assert found["head.explains_increase"]["verdict"] == "reproduced"
    assert found["gradients.with"]["verdict"] == "reproduced"
    assert found["gradients.without"]["verdict"] == "corrected"
    assert found["gradients.success"]["verdict"] == "reproduced"


def test_all_messages_of_the_file_correct_the_number_of_the_report():
    found = before_training(LAB_SPLIT | {"messages": 5574})["data.messages"]
    assert (found["measured"], found["verdict"]) == (5574, "corrected")


def test_another_cut_of_the_real_data_compares_the_balance_alone():
    found = before_training(LAB_SPLIT | {"protocol": "stratified"})
    assert found["data.balanced"]["verdict"] == "reproduced"
    assert "cut" not in found["data.balanced"]["explanation"]
    assert found["data.train"]["verdict"] == "not comparable"
    assert found["data.test"]["verdict"] == "not comparable"


def test_a_part_of_train_is_not_compared_with_the_whole_and_the_rest_is():
    found = before_training(LAB_SPLIT | {"train_share": 0.25})
    assert found["data.train"]["verdict"] == "not comparable"
    assert "keeps 25.0 % of the training messages" in found["data.train"]["explanation"]
    assert found["data.test"]["verdict"] == "reproduced"


def test_messages_that_are_not_balanced_are_not_compared_with_the_balanced_ones():
    split = LAB_SPLIT | {"protocol": "stratified", "balance": "none", "balanced": 5574}
    found = before_training(split)["data.balanced"]
    assert (found["verdict"], found["measured"]) == ("not comparable", None)


def test_other_data_are_never_compared_with_the_report():
    found = before_training(data_sha256="0" * 64)
    verdicts = {c["verdict"] for name, c in found.items() if name.startswith("data.")}
    assert verdicts == {"not comparable"}


# After training


def test_every_figure_on_training_gets_that_of_the_run():
    found = {name: claim["measured"] for name, claim in after_training().items()}
    assert found["training.seconds"] == 12.3
    assert found["training.loss"] == 0.2124
    assert found["training.train_accuracy"] == 91.81
    assert found["training.test_accuracy"] == 97.66
    assert found["training.interrupted"] is None


@pytest.mark.parametrize(
    ("interval", "verdict"), [((0.95, 0.99), "reproduced"), ((0.90, 0.97), "corrected")]
)
def test_a_run_like_the_labs_reproduces_the_test_accuracy_if_its_interval_holds_it(
    interval, verdict
):
    found = after_training(interval=interval)
    assert found["training.test_accuracy"]["verdict"] == verdict
    assert found["training.loss"]["verdict"] == "not comparable"
    assert found["training.seconds"]["verdict"] == "not comparable"


def test_a_run_without_the_double_injection_says_that_the_lab_had_it():
    words = "trained adapters injected twice"
    assert words in after_training(injections=1)["training.test_accuracy"]["explanation"]
    assert words not in after_training(injections=2)["training.test_accuracy"]["explanation"]


def test_a_run_unlike_the_labs_is_not_compared_and_says_why():
    found = after_training(differences=["lora.rank 64", "other messages"])["training.test_accuracy"]
    assert (found["verdict"], found["measured"]) == ("not comparable", 97.66)
    assert found["explanation"] == "This run differs: lora.rank 64, other messages."
    loss = after_training(differences=["lora.rank 64"])["training.loss"]
    assert loss["explanation"] == "This run differs; see the test accuracy."


# In what a run differs


def test_the_labs_recipe_on_its_data_and_weights_differs_in_nothing():
    found = differences_from_the_lab(lab_settings(), LAB_DATA_SHA256, LAB_WEIGHTS_SHA256)
    assert found == []


@pytest.mark.parametrize("key", LAB_RECIPE)
def test_every_departure_from_the_recipe_is_a_difference(key):
    settings = copy.deepcopy(lab_settings())
    *parents, leaf = key.split(".")
    section = settings
    for parent in parents:
        section = section[parent]
    section[leaf] = "otherwise"
    found = differences_from_the_lab(settings, LAB_DATA_SHA256, LAB_WEIGHTS_SHA256)
    assert found == [f"{key} otherwise"]


def test_other_messages_and_other_weights_are_differences():
    found = differences_from_the_lab(lab_settings(), "0" * 64, "1" * 64)
    assert found == ["other messages", "not the weights of GPT-2 124M"]
