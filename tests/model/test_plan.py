"""The plan: which layers, of which rank and alpha, counted before anything is touched."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.classifier import count_parameters
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.lora import adapter_layers, inject, plan_adapters, planned_names
from loralab.model.shapes import SIZES
from loralab.model.targets import matches, matches_whole

KINDS = ["q_proj", "k_proj", "v_proj", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
ATTENTION = [f"attn.{projection}" for projection in ("q_proj", "k_proj", "v_proj", "c_proj")]
PATHS = [f"h.{b}.{kind}" for b in (0, 1) for kind in (*ATTENTION, "mlp.c_fc", "mlp.c_proj")]


def _modules(base, settings) -> list[str]:
    return [entry.module for entry in plan_adapters(base, settings)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, PATHS),
        ({"targets": ["c_proj"]}, [path for path in PATHS if path.endswith("c_proj")]),
        ({"targets": ["attn.c_proj"]}, ["h.0.attn.c_proj", "h.1.attn.c_proj"]),
        ({"targets": ["h.1.mlp.c_fc"]}, ["h.1.mlp.c_fc"]),
        ({"targets": ["v_proj", "q_proj"]}, [p for p in PATHS if p.endswith(("q_proj", "v_proj"))]),
        ({"targets": [r"h\.1\..*"]}, PATHS[6:]),
        (
            {"targets": [r"[qkv]_proj"]},
            [p for p in PATHS if p.endswith(("q_proj", "k_proj", "v_proj"))],
        ),
        (
            {"targets": [r"mlp\.c_(fc|proj)", "q_proj"]},
            [p for p in PATHS if "mlp" in p or "q_" in p],
        ),
        ({"exclude": ["mlp.c_fc"]}, [p for p in PATHS if not p.endswith("c_fc")]),
        ({"exclude": [r"h\.0\..*"]}, PATHS[6:]),
        ({"layers": {"first": 1}}, PATHS[6:]),
        ({"layers": {"last": 0}}, PATHS[:6]),
        ({"layers": {"first": 1, "last": 1}, "targets": ["c_fc"]}, ["h.1.mlp.c_fc"]),
    ],
)
def test_targets_exclusions_and_layers_give_these_paths_in_the_models_order(
    base, lora, settings, expected
):
    assert _modules(base, lora(rank=4, **settings)) == expected


@given(
    st.lists(st.sampled_from(KINDS), min_size=1, unique=True), st.integers(0, 1), st.integers(1, 16)
)
def test_counts_equal_the_closed_form_for_any_set_of_targets(new_base, lora, kinds, first, rank):
    model = new_base()
    frozen = sum(parameter.numel() for parameter in model.parameters())
    plan = plan_adapters(model, lora(targets=kinds, rank=rank, layers={"first": first}))
    sides = {"mlp.c_fc": 16 + 64, "mlp.c_proj": 64 + 16}
    expected = (2 - first) * sum(rank * sides.get(kind, 32) for kind in kinds)
    assert sum(entry.parameters for entry in plan) == expected
    inject(model, plan)
    counts = count_parameters(model)
    assert (counts["trainable"], counts["total"]) == (expected, frozen + expected)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == set(planned_names(plan))


def test_dora_trains_the_length_of_every_row_beside_a_and_b(base, lora):
    plan = plan_adapters(base, lora(rank=2, variant="dora"))
    inject(base, plan)
    rows = 2 * (4 * 16 + 64 + 16)
    assert sum(e.parameters for e in plan) == 2 * 2 * (4 * 32 + 2 * 80) + rows
    assert count_parameters(base)["trainable"] == sum(entry.parameters for entry in plan)


def test_rank_and_alpha_follow_the_first_pattern_that_matches(base, lora):
    settings = lora(
        rank=4,
        alpha=8,
        rank_pattern={r"h\.1\.mlp\..*": 7, "c_fc": 2, "attn.c_proj": 1},
        alpha_pattern={"q_proj": 32, r"h\.0\..*": 5},
    )
    found = {e.module: (e.rank, e.alpha) for e in plan_adapters(base, settings)}
    assert found["h.0.mlp.c_fc"] == (2, 5)
    assert found["h.1.mlp.c_fc"] == (7, 8)
    assert found["h.1.mlp.c_proj"] == (7, 8)
    assert found["h.0.attn.c_proj"] == (1, 5)
    assert found["h.0.attn.q_proj"] == (4, 32)
    assert found["h.1.attn.v_proj"] == (4, 8)
    inject(base, plan_adapters(base, settings))
    for name, layer in adapter_layers(base):
        rank, alpha = found[name]
        assert layer.lora_A.shape[0] == layer.lora_B.shape[1] == rank
        assert layer.scaling == alpha / rank


def test_nothing_is_touched_by_planning(base, lora):
    before = {name: (id(p), p.requires_grad) for name, p in base.named_parameters()}
    plan_adapters(base, lora(rank=4))
    assert {n: (id(p), p.requires_grad) for n, p in base.named_parameters()} == before


# --- what a plan refuses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"targets": ["v_proj", "q_porj"]},
            r"lora\.targets 'q_porj' matches no layer; did you mean attn\.q_proj\?",
        ),
        ({"targets": ["q_porj", "wte"]}, r"(?s)'q_porj' matches no.*'wte' matches no"),
        ({"targets": [r"h\.2\..*"]}, r"matches no layer"),
        ({"targets": ["q_(proj"]}, r"'q_\(proj' is no regular expression: .*"),
        ({"exclude": ["c_cf"]}, r"lora\.exclude 'c_cf' matches no layer; .*c_fc"),
        ({"rank_pattern": {"c_cf": 2}}, r"lora\.rank_pattern 'c_cf' matches no layer"),
        ({"alpha_pattern": {"c_cf": 2}}, r"lora\.alpha_pattern 'c_cf' matches no layer"),
        ({"targets": ["c_fc"], "exclude": ["mlp.c_fc"]}, "leave none of lora.targets to adapt"),
        ({"targets": ["h.0.mlp.c_fc"], "layers": {"first": 1}}, "leave none of lora.targets"),
        ({"layers": {"first": 2}}, "goes from 2 to the last; the model's blocks are 0 to 1"),
        ({"layers": {"last": 2}}, "goes from 0 to 2; the model's blocks are 0 to 1"),
        ({"layers": {"first": 1, "last": 0}}, "goes from 1 to 0"),
        ({"rank": 17}, r"says:\n  - rank 17 of attn\.q_proj exceeds 16, the layer's smaller side"),
        ({"rank_pattern": {"h.1.mlp.c_fc": 17}}, r"says: rank 17 of mlp\.c_fc exceeds 16"),
        (
            {"targets": ["c_attn"]},
            "did you mean attn.v_proj. There are attn.q_proj, attn.k_",
        ),
        (
            {"targets": ["q_proj"], "rank_pattern": {"c_fc": 2}},
            r"lora\.rank_pattern 'c_fc' matches",
        ),
        ({"targets": ["a{99999999999999999999}"]}, "is no regular expression|matches no layer"),
        ({"targets": ["(" * 5000 + ")" * 5000]}, "is no regular expression|matches no layer"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_words(base, lora, settings, message):
    with pytest.raises(LoralabError, match=message):
        plan_adapters(base, lora(**{"rank": 4} | settings))


@pytest.mark.parametrize("target", ["head", "wte", "wpe", "ln_f", "proj", "attn", "ln_1", "h", ""])
def test_only_whole_names_of_linear_layers_in_blocks_match(base, lora, target):
    with pytest.raises(LoralabError, match="matches no layer"):
        plan_adapters(base, lora(rank=4, targets=[target]))


def test_even_a_pattern_for_everything_leaves_head_and_embeddings_alone(base, lora):
    assert _modules(base, lora(rank=4, targets=[".*"])) == PATHS


def test_a_pattern_that_would_take_years_is_refused():
    with pytest.raises(LoralabError, match="takes too long; simplify it"):
        matches_whole("(x|xx)+[yz]", "x" * 60)


@given(st.sampled_from(PATHS), st.integers(0, 3))
def test_every_end_of_a_path_from_a_dot_on_matches_and_nothing_else(path, start):
    parts = path.split(".")
    ending = re.escape(".".join(parts[start:]))
    assert matches(ending, path)
    assert not matches(ending[1:], path) or ending.startswith("h")
    assert not matches(ending, path + ".base")


# --- the real size --------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 8, 16])
def test_counts_at_124_million_equal_the_closed_form(lora, rank):
    with torch.device("meta"):
        model = GPT2(SIZES["gpt2"])
        plan = plan_adapters(model, lora(rank=rank))
        inject(model, plan)
    assert len(plan) == 72
    assert sum(entry.parameters for entry in plan) == 165_888 * rank
    counts = count_parameters(model)
    assert counts["trainable"] == 165_888 * rank
    assert counts["total"] == 163_037_184 + 165_888 * rank
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert (len(frozen), len(list(model.parameters())) - len(frozen)) == (197, 144)


@pytest.mark.parametrize(
    ("injections", "trainable", "total", "percent"),
    [(1, 1_328_642, 125_768_450, 1.06), (2, 2_655_746, 127_095_554, 2.09)],
)
def test_counts_with_a_two_label_head(lora, injections, trainable, total, percent):
    with torch.device("meta"):
        model = GPT2(SIZES["gpt2"])
        plan = plan_adapters(model, lora(rank=8))
        for _ in range(injections):
            inject(model, plan, nest=True)
        replace_head(model, 2, bias=True)
    counts = count_parameters(model)
    assert counts == {"trainable": trainable, "total": total, "percent": percent}
