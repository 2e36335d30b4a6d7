"""The published lab's model as it is measured: once and twice injected, and its gradient check."""

import pytest
from loralab.model.lab_model import lab_check_passes_with_every_b_frozen, measure_lab_model


@pytest.mark.parametrize(
    ("injections", "modules", "language_model", "classifier"),
    [
        (1, 72, (1_327_104, 164_364_288, 0.81), (1_328_642, 125_768_450, 1.06)),
        (2, 144, (2_654_208, 165_691_392, 1.60), (2_655_746, 127_095_554, 2.09)),
    ],
)
def test_the_labs_model_has_the_closed_form_counts(injections, modules, language_model, classifier):
    found = measure_lab_model(injections)
    assert found["modules"] == modules
    assert tuple(found["language_model"].values()) == language_model
    assert tuple(found["classifier"].values()) == classifier
    assert found["head"] == 1_538
    assert (found["with_gradient"], found["frozen_without"]) == (2 * modules, 197)


def test_the_labs_gradient_check_passes_on_a_model_that_cannot_learn():
    assert lab_check_passes_with_every_b_frozen() is True
