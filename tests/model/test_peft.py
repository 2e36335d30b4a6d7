"""Interchange with PEFT and transformers, both ways; they are the oracles."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.adapters import load_adapter, save_adapter
from loralab.model.checkpoints import save_base
from loralab.model.lora import TRAINED, adapter_layers, merge, unload
from peft import LoraConfig, PeftModel, get_peft_model

LABELS = ["ham", "spam"]
PADDING = 63
VARIANTS = {"lora": {}, "rslora": {"use_rslora": True}, "dora": {"use_dora": True}}


def _stock(folder: Path, labels: int = 2) -> transformers.GPT2ForSequenceClassification:
    return transformers.GPT2ForSequenceClassification.from_pretrained(
        folder, num_labels=labels, pad_token_id=PADDING
    )


def _logits(model, ids, lengths) -> torch.Tensor:
    padded = ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], PADDING)
    with torch.no_grad():
        return model.eval()(input_ids=padded).logits


def _agree(found, expected) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def base_folder(new_base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_base(new_base(), folder)
    return folder


# --- from here to PEFT ------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"targets": ["q_proj", "v_proj"]},
        {"targets": ["k_proj", "c_fc"]},
        {"rank_pattern": {"q_proj": 2, "c_fc": 7}},
        {"alpha_pattern": {"v_proj": 3, r"h\.1\..*": 5}},
        {"layers": {"first": 1}},
    ],
    ids=["all", "q and v", "k and c_fc", "ranks", "alphas", "last block"],
)
def test_stock_peft_gives_the_same_logits(
    base_folder, new_classifier, ids, lengths, tmp_path, variant, bias, changes
):
    model = new_classifier(bias=bias, variant=variant, **changes)
    save_adapter(model, LABELS, "tiny", tmp_path)
    adapted = PeftModel.from_pretrained(_stock(base_folder), tmp_path)
    _agree(model.classify(ids, lengths), _logits(adapted, ids, lengths))


@pytest.mark.parametrize("variant", ["lora", "rslora"])
def test_stock_peft_reads_adapters_injected_twice(
    base_folder, new_classifier, ids, lengths, tmp_path, variant
):
    model = new_classifier(injections=2, variant=variant)
    save_adapter(model, LABELS, "tiny", tmp_path)
    adapted = PeftModel.from_pretrained(_stock(base_folder), tmp_path)
    _agree(model.classify(ids, lengths), _logits(adapted, ids, lengths))


@pytest.mark.parametrize("variant", VARIANTS)
def test_peft_merges_to_the_same_logits_as_we_do(
    base_folder, new_classifier, ids, lengths, tmp_path, variant
):
    model = new_classifier(variant=variant)
    save_adapter(model, LABELS, "tiny", tmp_path)
    theirs = PeftModel.from_pretrained(_stock(base_folder), tmp_path).merge_and_unload()
    merge(model)
    unload(model)
    _agree(model.eval().classify(ids, lengths), _logits(theirs, ids, lengths))


# --- from PEFT to here ------------------------------------------------------------------------


def _peft_trained(base_folder: Path, labels: int = 2, **config) -> PeftModel:
    """A PEFT model whose adapters and saved modules are random, as after training."""
    chosen = {"target_modules": ["c_attn", "c_fc", "c_proj"], "r": 4, "lora_alpha": 6} | config
    model = get_peft_model(_stock(base_folder, labels), LoraConfig(task_type="SEQ_CLS", **chosen))
    drawn = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 2, generator=drawn))
            elif parameter.requires_grad:
                parameter.normal_(0.0, 0.2, generator=drawn)
    return model


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"target_modules": ["c_attn"]},
        {"target_modules": r".*\.h\.1\.(mlp\.c_fc|attn\.c_proj)"},
        {"rank_pattern": {"c_attn": 9, r"h\.1\.mlp\.c_proj": 2}},
        {"alpha_pattern": {"attn.c_proj": 11}, "rank_pattern": {"c_fc": 1}},
        {"modules_to_save": ["score", "ln_f"]},
        {"layers_to_transform": [1], "layers_pattern": "h"},
        {"layers_to_transform": 1},
        {"exclude_modules": ["h.0.mlp.c_fc"]},
        {"exclude_modules": r".*\.attn\..*"},
        {"rank_pattern": {r"^transformer\.h\.0\.attn\.c_attn": 2}},
        {"alpha_pattern": {r"^transformer\.h\.0\.mlp\.c_fc": 13}},
    ],
    ids=[
        *("all", "c_attn", "regex", "ranks", "alphas", "final norm", "last block", "block 1"),
        *("exclude one", "exclude attention", "rank by whole path", "alpha by whole path"),
    ],
)
def test_what_peft_wrote_gives_the_same_logits_here(
    base_folder, new_base, ids, lengths, tmp_path, variant, config
):
    theirs = _peft_trained(base_folder, **VARIANTS[variant], **config)
    theirs.save_pretrained(tmp_path)
    model = new_base()
    assert load_adapter(model, tmp_path) == ["LABEL_0", "LABEL_1"]
    _agree(model.eval().classify(ids, lengths), _logits(theirs, ids, lengths))


def test_rslora_and_dora_together_are_read_too(base_folder, new_base, ids, lengths, tmp_path):
    theirs = _peft_trained(base_folder, use_rslora=True, use_dora=True)
    theirs.save_pretrained(tmp_path)
    model = new_base()
    load_adapter(model, tmp_path)
    _agree(model.eval().classify(ids, lengths), _logits(theirs, ids, lengths))


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_any_number_of_labels_is_read(base_folder, new_base, ids, lengths, tmp_path, labels):
    theirs = _peft_trained(base_folder, labels)
    theirs.save_pretrained(tmp_path)
    model = new_base()
    assert len(load_adapter(model, tmp_path)) == labels
    _agree(model.eval().classify(ids, lengths), _logits(theirs, ids, lengths))


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_here_to_peft_and_back_nothing_is_lost(
    base_folder, new_base, new_classifier, ids, lengths, tmp_path, variant
):
    model = new_classifier(variant=variant)
    save_adapter(model, LABELS, "tiny", tmp_path)
    adapted = PeftModel.from_pretrained(_stock(base_folder), tmp_path)
    adapted.save_pretrained(tmp_path / "again")
    back = new_base()
    load_adapter(back, tmp_path / "again")
    _agree(back.eval().classify(ids, lengths), model.classify(ids, lengths))
    # And what was read of PEFT's is written so that PEFT reads it.
    save_adapter(back, LABELS, "tiny", tmp_path / "third")
    third = PeftModel.from_pretrained(_stock(base_folder), tmp_path / "third")
    _agree(_logits(third, ids, lengths), model.classify(ids, lengths))


def test_an_adapter_in_bf16_is_read_as_the_numbers_that_it_holds(
    base_folder, new_base, ids, lengths, tmp_path
):
    theirs = _peft_trained(base_folder)
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    halved = {n: t.bfloat16() for n, t in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(halved, path)
    model = new_base()
    load_adapter(model, tmp_path)
    assert all(layer.lora_A.dtype == torch.float32 for _, layer in adapter_layers(model))
    theirs = PeftModel.from_pretrained(_stock(base_folder), tmp_path)
    _agree(model.eval().classify(ids, lengths), _logits(theirs, ids, lengths))


def test_an_adapter_of_a_language_model_keeps_the_head(base_folder, new_base, ids, tmp_path):
    stock = transformers.GPT2LMHeadModel.from_pretrained(base_folder)
    theirs = get_peft_model(
        stock, LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], init_lora_weights=False)
    )
    theirs.save_pretrained(tmp_path)
    model = new_base()
    assert load_adapter(model, tmp_path) == []
    with torch.no_grad():
        _agree(model.eval()(ids), theirs.eval()(input_ids=ids).logits)


# --- what PEFT can say and we cannot ----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("base_model.model.score.weight"), "score.weight is missing"),
        (lambda t: t.pop(_name("h.0.mlp.c_fc.lora_B.weight")), "c_fc.lora_B.weight is missing"),
        (
            lambda t: t.update({_name("h.5.mlp.c_fc.lora_B.weight"): torch.ones(64, 4)}),
            "h.5.mlp.c_fc.lora_B.weight is unexpected",
        ),
        (
            lambda t: t.update({_name("wte.weight"): torch.ones(64, 16)}),
            "wte.weight is unexpected",
        ),
        (
            lambda t: t.update({_name("h.0.mlp.c_fc.lora_A.weight"): torch.ones(4, 17)}),
            "has the shape [4, 17], expected [4, 16]",
        ),
        (
            lambda t: t[_name("h.0.mlp.c_fc.lora_A.weight")].fill_(float("nan")),
            "c_fc.lora_A.weight holds NaN or infinity",
        ),
        (
            lambda t: t.update({_name("h.0.mlp.c_fc.lora_A.weight"): torch.ones(4, 16).int()}),
            "c_fc.lora_A.weight holds torch.int32",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(base_folder, new_base, tmp_path, change, words):
    _peft_trained(base_folder).save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    tensors = {name: t.clone() for name, t in safetensors.torch.load_file(path).items()}
    change(tensors)
    safetensors.torch.save_file(tensors, path)
    model = new_base()
    with pytest.raises(LoralabError) as error:
        load_adapter(model, tmp_path)
    assert words in str(error.value)
    assert not list(adapter_layers(model))


def _name(rest: str) -> str:
    return f"base_model.model.transformer.{rest}"


@pytest.mark.parametrize("shape", [(0, 16), (), (16,), (2, 16, 1)])
def test_a_head_of_no_matrix_is_named(base_folder, new_base, tmp_path, shape):
    _peft_trained(base_folder).save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    tensors = {name: t.clone() for name, t in safetensors.torch.load_file(path).items()}
    for name in ("base_model.model.score.weight", _name("h.0.mlp.c_fc.lora_A.weight")):
        changed = tensors | {name: torch.ones(shape)}
        safetensors.torch.save_file(changed, path)
        with pytest.raises(LoralabError, match="has the shape|has rank"):
            load_adapter(new_base(), tmp_path)


def test_layers_that_the_configuration_targets_and_the_file_lacks_are_named(
    base_folder, new_base, tmp_path
):
    _peft_trained(base_folder).save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    kept = {name: t for name, t in tensors.items() if ".h.0.mlp.c_fc." not in name}
    safetensors.torch.save_file(kept, path)
    with pytest.raises(LoralabError, match=r"h\.0\.mlp\.c_fc\.lora_A\.weight is missing"):
        load_adapter(new_base(), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"layers_to_transform": [0]},
        {"layers_to_transform": 0},
        {"target_modules": ["mlp.c_fc"]},
        {"target_modules": r".*\.h\.0\..*c_(attn|fc|proj)"},
        {"exclude_modules": [f"h.1.{kind}" for kind in ("attn.c_attn", "mlp.c_fc")]},
    ],
)
def test_layers_that_peft_would_leave_out_are_named(base_folder, new_base, tmp_path, change):
    _peft_trained(base_folder).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LoralabError, match=r"h\.1\..*lora_A\.weight is unexpected"):
        load_adapter(new_base(), tmp_path)


def test_another_rank_in_the_configuration_is_refused(base_folder, new_base, tmp_path):
    _peft_trained(base_folder).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 8}))
    with pytest.raises(
        LoralabError, match=r"h\.0\.attn\.c_attn has rank 8 there, its tensors have 4"
    ):
        load_adapter(new_base(), tmp_path)


def test_trained_embeddings_are_refused_by_name(base_folder, new_base, tmp_path):
    _peft_trained(base_folder, modules_to_save=["score", "wpe"]).save_pretrained(tmp_path)
    with pytest.raises(LoralabError, match=r"wpe\.weight is unexpected"):
        load_adapter(new_base(), tmp_path)


@pytest.mark.parametrize("beginning", ["pissa", "olora"])
def test_beginnings_that_change_the_base_are_refused(base_folder, new_base, tmp_path, beginning):
    stock = _stock(base_folder)
    config = LoraConfig(
        task_type="SEQ_CLS", r=4, target_modules=["c_fc"], init_lora_weights=beginning
    )
    get_peft_model(stock, config).save_pretrained(tmp_path)
    with pytest.raises(LoralabError, match=f"init_lora_weights '{beginning}'"):
        load_adapter(new_base(), tmp_path)


# --- at random --------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(list(VARIANTS)),
    st.lists(st.sampled_from(["q_proj", "k_proj", "v_proj", "c_fc", "attn.c_proj"]), min_size=1),
    st.integers(1, 16),
    st.floats(0.5, 64),
    st.booleans(),
)
def test_whatever_is_planned_stock_peft_gives_the_same_logits(
    base_folder, new_classifier, tmp_path_factory, variant, targets, rank, alpha, bias
):
    model = new_classifier(rank, bias, variant=variant, targets=targets, alpha=alpha)
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(model, LABELS, "tiny", folder)
    adapted = PeftModel.from_pretrained(_stock(base_folder), folder)
    ids = torch.randint(PADDING, (3, 6), generator=torch.Generator().manual_seed(rank))
    lengths = torch.tensor([6, 3, 1])
    ids = ids.masked_fill(torch.arange(6) >= lengths[:, None], PADDING)
    found, expected = model.classify(ids, lengths), _logits(adapted, ids, lengths)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_every_variant_is_among_those_that_peft_reads():
    assert set(VARIANTS) == set(TRAINED)
