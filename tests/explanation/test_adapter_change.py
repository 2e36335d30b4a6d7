"""What is called the adapter's change is the merged weight minus the one before."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loralab.explanation.adapter_change import adapter_changes, effective_rank
from loralab.model.lora import merge, unload
from scipy.stats import entropy

KINDS = [
    {},
    {"variant": "rslora"},
    {"variant": "dora"},
    {"injections": 2},
    {"variant": "rslora", "injections": 2},
    {"targets": ["q_proj", "v_proj"], "layers": {"first": 1, "last": None}},
    {"rank_pattern": {"mlp.c_fc": 5}},
]


def weights(model) -> dict[str, np.ndarray]:
    """The matrices of the blocks by the names that they have without adapters."""
    return {
        name.replace(".base", ""): parameter.detach().clone().numpy()
        for name, parameter in model.h.named_parameters(prefix="h")
        if parameter.ndim == 2 and "lora_" not in name
    }


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_the_change_is_that_of_the_weights_of_a_merged_and_unloaded_model(new_classifier, settings):
    model = new_classifier(**settings)
    before = weights(model)
    merge(model)
    found = {change.module: change for change in adapter_changes(model)}
    unload(model)
    after = weights(model)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {f"{module}.weight" for module in found} == moved
    for module, change in found.items():
        delta = after[f"{module}.weight"] - before[f"{module}.weight"]
        values = np.linalg.svd(delta, compute_uv=False)
        assert change.norm == pytest.approx(np.linalg.norm(delta), rel=1e-9)
        relative = np.linalg.norm(delta) / np.linalg.norm(before[f"{module}.weight"])
        assert change.relative_norm == pytest.approx(relative, rel=1e-9)
        assert change.effective_rank == pytest.approx(np.exp(entropy(values)), rel=1e-6)


@pytest.mark.parametrize("settings", [s for s in KINDS if s.get("variant") != "dora"], ids=str)
def test_the_effective_rank_is_within_the_rank_that_the_adapter_has(new_classifier, settings):
    model = new_classifier(**settings)
    merge(model)
    for change in adapter_changes(model):
        expected = 5 if settings.get("rank_pattern") and "c_fc" in change.module else 2
        assert change.rank == expected * settings.get("injections", 1)
        assert 1 <= change.effective_rank <= change.rank + 1e-6


def test_dora_goes_beyond_its_rank_by_the_lengths_of_the_rows(new_classifier):
    model = new_classifier(variant="dora")
    merge(model)
    changes = adapter_changes(model)
    assert {change.variant for change in changes} == {"dora"}
    assert all(change.effective_rank > change.rank + 1 for change in changes)


def test_an_adapter_that_changes_nothing_has_no_effective_rank(new_classifier):
    model = new_classifier()
    for name, parameter in model.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.zero_()
    merge(model)
    for change in adapter_changes(model):
        assert (change.norm, change.relative_norm, change.effective_rank) == (0.0, 0.0, None)


def test_a_weight_of_zeros_has_no_relative_change(new_classifier):
    model = new_classifier(targets=["q_proj"])
    for layer in model.h:
        layer.attn.q_proj.weight.data.zero_()
    merge(model)
    for change in adapter_changes(model):
        assert change.norm > 0 and change.relative_norm is None


def test_adapters_that_are_not_merged_are_refused(new_classifier):
    with pytest.raises(ValueError, match="not merged"):
        adapter_changes(new_classifier())


# --- effective rank ---------------------------------------------------------------------------


def test_the_effective_rank_counts_directions_that_share_alike():
    assert effective_rank(np.array([3.0, 3.0, 3.0, 0.0])) == pytest.approx(3)
    assert effective_rank(np.array([7.0, 0.0])) == pytest.approx(1)
    assert effective_rank(np.zeros(4)) is None
    assert 1 < effective_rank(np.array([9.0, 1.0])) < 2


@given(arrays(float, st.integers(1, 9), elements=st.floats(1e-3, 1e3)), st.floats(0.01, 100))
def test_the_effective_rank_is_the_entropy_s_whatever_the_scale(values, scale):
    found = effective_rank(values)
    assert found == pytest.approx(np.exp(entropy(values)))
    assert effective_rank(scale * values) == pytest.approx(found)
    assert 1 - 1e-9 <= found <= len(values) + 1e-9


def test_a_change_of_known_directions_is_found_in_a_layer(new_classifier):
    model = new_classifier(targets=["h.0.attn.q_proj"], alpha=2)
    layer = model.h[0].attn.q_proj
    eye = torch.eye(16, dtype=torch.float64)
    layer.lora_A.data, layer.lora_B.data = eye[:2] * 3, eye[:, :2] * 2
    merge(model)
    (change,) = adapter_changes(model)
    assert (change.module, change.rank, change.variant) == ("h.0.attn.q_proj", 2, "lora")
    assert change.norm == pytest.approx(6 * 2**0.5)
    assert change.effective_rank == pytest.approx(2)
