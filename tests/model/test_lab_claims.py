"""The verdict on every number of the published report."""

import pytest
from loralab.model.lab_claims import lab_claims

LAB_SPLIT = {
    "messages": 5572,
    "balanced": 1494,
    "balance": "undersample",
    "protocol": "lab",
    "splits": {"train": {"n": 1195}, "test": {"n": 299}},
}


def _by_id(split: dict, is_real_data: bool) -> dict[str, dict]:
    claims = lab_claims(split, is_real_data)
    assert len({claim["id"] for claim in claims}) == len(claims)
    return {claim["id"]: claim for claim in claims}


@pytest.fixture(scope="module")
def claims() -> dict[str, dict]:
    return _by_id(LAB_SPLIT, True)


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
def test_each_claim_has_its_measured_value_and_verdict(claims, name, published, measured, verdict):
    claim = claims[name]
    assert (claim["published"], claim["measured"]) == (published, measured)
    assert claim["verdict"] == verdict
    assert claim["explanation"]


def test_all_messages_of_the_file_correct_the_number_of_the_report():
    found = _by_id(LAB_SPLIT | {"messages": 5574}, True)["data.messages"]
    assert (found["measured"], found["verdict"]) == (5574, "corrected")


def test_another_split_of_the_real_data_compares_the_balance_alone():
    found = _by_id(LAB_SPLIT | {"protocol": "standard"}, True)
    assert found["data.balanced"]["verdict"] == "reproduced"
    assert found["data.train"]["verdict"] == "not comparable"
    assert found["data.test"]["verdict"] == "not comparable"


def test_every_claim_is_among_those_checked_here(claims):
    assert len(claims) == 23


def test_messages_that_are_not_balanced_are_not_compared_with_the_balanced_ones():
    found = _by_id(
        LAB_SPLIT | {"protocol": "stratified", "balance": "none", "balanced": 5574}, True
    )
    assert found["data.balanced"]["verdict"] == "not comparable"
    assert found["data.balanced"]["measured"] is None


def test_other_data_are_never_compared_with_the_report():
    found = _by_id(LAB_SPLIT, False)
    verdicts = {c["verdict"] for name, c in found.items() if name.startswith("data.")}
    assert verdicts == {"not comparable"}
