"""Adapters on disk as loralab writes them: read back to the bit, refused when damaged."""

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from loralab.errors import LoralabError
from loralab.model.adapters import load_adapter, save_adapter
from loralab.model.checkpoints import load_base, save_base
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import replace_head
from loralab.model.lora import (
    TRAINED,
    adapter_layers,
    adapter_parameters,
    inject,
    plan_adapters,
    present_plan,
)
from loralab.model.shapes import GPT2Shape
from safetensors import safe_open

LABELS = ["ham", "spam"]
TRUNK = "base_model.model.transformer."
VARIANTS = list(TRAINED)


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def _change(folder: Path, change) -> None:
    """Rewrite the adapter file with `change` applied to its tensors, metadata kept."""
    path = folder / "adapter_model.safetensors"
    metadata = _metadata(path)
    tensors = {name: t.clone() for name, t in safetensors.torch.load_file(path).items()}
    change(tensors)
    safetensors.torch.save_file(tensors, path, metadata=metadata)


def _change_description(folder: Path, change) -> None:
    path = folder / "adapter_model.safetensors"
    description = json.loads(_metadata(path)["loralab"])
    change(description)
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": json.dumps(description)})


def _change_config(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _refusal(model, folder: Path) -> str:
    """What loading says; the model must be left alone."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(LoralabError) as error:
        load_adapter(model, folder)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    return str(error.value)


@pytest.fixture
def folder(new_classifier, tmp_path: Path) -> Path:
    save_adapter(new_classifier(), LABELS, "tiny", tmp_path)
    return tmp_path


# --- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["k_proj", "c_proj"]])
def test_a_round_trip_gives_the_same_logits_to_the_bit(
    new_base, new_classifier, ids, lengths, tmp_path, bias, targets, variant
):
    model, loaded = new_classifier(targets=targets, bias=bias, variant=variant), new_base()
    save_adapter(model, LABELS, "tiny", tmp_path)
    assert load_adapter(loaded, tmp_path) == LABELS
    with torch.no_grad():
        assert torch.equal(loaded.classify(ids, lengths), model.classify(ids, lengths))
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert present_plan(loaded) == present_plan(model)


@given(
    st.sampled_from(VARIANTS),
    st.dictionaries(
        st.sampled_from(["q_proj", "k_proj", "v_proj", "attn.c_proj", r"h\.1\..*", "c_fc"]),
        st.integers(1, 16),
    ),
    st.dictionaries(st.sampled_from(["k_proj", "v_proj", r"h\.0\..*"]), st.floats(0.5, 64)),
)
def test_any_ranks_and_alphas_come_back(
    new_base, new_classifier, tmp_path_factory, variant, ranks, alphas
):
    model = new_classifier(variant=variant, rank_pattern=ranks, alpha_pattern=alphas)
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(model, LABELS, "tiny", folder)
    loaded = new_base()
    load_adapter(loaded, folder)
    assert present_plan(loaded) == present_plan(model)
    saved = loaded.state_dict()
    for name, tensor in model.state_dict().items():
        # Where projections of one attention are scaled unlike, B is stored at one scaling.
        torch.testing.assert_close(saved[name], tensor, atol=0, rtol=1e-6)


def test_nested_adapters_are_saved_as_one_of_the_summed_rank(
    new_base, new_classifier, ids, lengths, tmp_path
):
    for variant, scaling in (("lora", 2.0), ("rslora", 16 / 8**0.5)):
        model, loaded = new_classifier(rank=8, injections=2, variant=variant), new_base()
        save_adapter(model, LABELS, "tiny", tmp_path)
        load_adapter(loaded, tmp_path)
        for _, layer in adapter_layers(loaded):
            assert len(layer.lora_A) == 16
            assert layer.scaling == pytest.approx(scaling)
        with torch.no_grad():
            found, expected = loaded.classify(ids, lengths), model.classify(ids, lengths)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_same_adapter_is_written_with_the_same_bytes_and_readable_to_all(
    new_classifier, tmp_path
):
    model, written = new_classifier(), set()
    for turn in range(8):  # of two entries of metadata the order would differ at half the turns
        save_adapter(model, LABELS, "tiny", tmp_path / str(turn))
        path = tmp_path / str(turn) / "adapter_model.safetensors"
        written.add(path.read_bytes())
        assert path.stat().st_mode & 0o777 == 0o644
    assert len(written) == 1


def test_the_head_is_in_the_file(folder):
    tensors = safetensors.torch.load_file(folder / "adapter_model.safetensors")
    assert tensors["base_model.model.score.weight"].shape == (2, 16)
    assert (
        len(json.loads(_metadata(folder / "adapter_model.safetensors")["loralab"])["head_bias"])
        == 2
    )


def test_the_configuration_tells_rank_and_alpha_of_each_fused_layer(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["rank_pattern"] == {"h.0.attn.c_attn": 12, "h.1.attn.c_attn": 12}
    assert config["alpha_pattern"] == {"h.0.attn.c_attn": 24, "h.1.attn.c_attn": 24}
    assert (config["use_rslora"], config["use_dora"]) == (False, False)
    assert config["modules_to_save"] == ["score", "ln_f"]
    assert config["fan_in_fan_out"] is True  # transformers keeps GPT-2's weights as (in, out)


def test_the_dropout_of_the_adapters_is_in_the_configuration(new_classifier, tmp_path):
    for dropout in (0.0, 0.25):
        save_adapter(new_classifier(dropout=dropout), LABELS, "tiny", tmp_path)
        config = json.loads((tmp_path / "adapter_config.json").read_text())
        assert config["lora_dropout"] == dropout


# --- what cannot be saved -------------------------------------------------------------------------


def test_a_head_whose_bias_cannot_be_carried_is_refused_before_anything_is_written(
    new_classifier, tmp_path
):
    model = new_classifier()
    with torch.no_grad():
        model.head.weight[1] = model.head.weight[0]
        model.head.bias.copy_(torch.tensor([1.0, 2.0]))
    with pytest.raises(LoralabError, match="cannot be carried .*; train with head.bias false"):
        save_adapter(model, LABELS, "tiny", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_a_model_without_adapters_is_refused(base, tmp_path):
    with pytest.raises(LoralabError, match="a head of 64 outputs cannot have"):
        save_adapter(base, LABELS, "tiny", tmp_path)
    replace_head(base, 2, bias=False)
    with pytest.raises(LoralabError, match="one variant; found none"):
        save_adapter(base, LABELS, "tiny", tmp_path)


def test_what_peft_cannot_express_is_refused_before_anything_is_written(base, lora, tmp_path):
    first = plan_adapters(base, lora(rank=2, targets=["q_proj"], variant="dora"))
    inject(base, first + plan_adapters(base, lora(rank=2, targets=["k_proj"])))
    replace_head(base, 2, bias=False)
    with pytest.raises(LoralabError, match="one variant; found none or several"):
        save_adapter(base, LABELS, "tiny", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_nested_adapters_of_unlike_scalings_are_refused(base, lora, tmp_path):
    inject(base, plan_adapters(base, lora(rank=2, alpha=4)))
    inject(base, plan_adapters(base, lora(rank=2, alpha=5)), nest=True)
    replace_head(base, 2, bias=False)
    with pytest.raises(LoralabError, match="unlike scalings"):
        save_adapter(base, LABELS, "tiny", tmp_path)


def test_nested_adapters_of_unlike_ranks_are_saved_at_their_sum(
    base, lora, new_base, ids, lengths, tmp_path
):
    for rank in (2, 4):
        inject(base, plan_adapters(base, lora(rank=rank, alpha=rank)), nest=True)
    replace_head(base, 2, bias=False)
    with torch.no_grad():
        for _, tensor in adapter_parameters(base):
            tensor.normal_(0.0, 0.2)
    save_adapter(base, LABELS, "tiny", tmp_path)
    loaded = new_base()
    load_adapter(loaded, tmp_path)
    assert {layer.rank for _, layer in adapter_layers(loaded)} == {6}
    found, expected = (m.eval().classify(ids, lengths) for m in (loaded, base))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.bfloat16(), "holds torch.bfloat16, expected torch.float32"),
        (lambda m: m.h[0].mlp.c_fc.lora_A.data.fill_(float("nan")), "lora_A.weight holds NaN"),
        (lambda m: m.head.weight.data.fill_(float("nan")), "score.weight holds NaN"),
        (lambda m: m.head.bias.data.fill_(float("inf")), "cannot be carried"),
    ],
)
def test_a_model_that_could_not_be_read_back_is_not_written(new_classifier, tmp_path, spoil, words):
    model = new_classifier()
    spoil(model)
    with pytest.raises(LoralabError, match=words):
        save_adapter(model, LABELS, "tiny", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize("labels", [[], ["ham"], ["ham", "ham"], ["a", "b", "c"]])
def test_labels_that_are_not_those_of_the_head_are_refused(new_classifier, tmp_path, labels):
    with pytest.raises(LoralabError, match="a head of 2 outputs cannot have the labels"):
        save_adapter(new_classifier(), labels, "tiny", tmp_path)


# --- another base model -----------------------------------------------------------------------


def test_an_adapter_for_another_width_is_refused(new_base, folder):
    found = _refusal(new_base(GPT2Shape(64, 32, 32, 2, 2)), folder)
    assert "h.0.attn.q_proj is 16 to 16, in the base model 32 to 32" in found


def test_an_adapter_for_more_layers_is_refused(new_base, folder):
    found = _refusal(new_base(GPT2Shape(64, 32, 16, 1, 2)), folder)
    assert "h.1.mlp.c_fc is adapted and is no linear layer" in found


def test_an_adapter_of_other_weights_of_the_same_shape_is_refused(base, lora, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with torch.no_grad():
            base.ln_f.bias[0] += 1
        save_base(base, tmp_path / name)
    model = load_base(tmp_path / "one")
    add_adapters(model, lora(rank=2), seed=1)
    add_head(model, labels=2, bias=True, seed=1)
    save_adapter(model, LABELS, "tiny", tmp_path)
    load_adapter(load_base(tmp_path / "one", dtype=torch.bfloat16), tmp_path)
    found = _refusal(load_base(tmp_path / "other"), tmp_path)
    assert "was trained on another base model of the same shape" in found


def test_a_model_that_has_adapters_is_refused(new_classifier, folder):
    with pytest.raises(LoralabError, match="already have adapters"):
        load_adapter(new_classifier(), folder)


# --- damage ---------------------------------------------------------------------------------------


def test_every_missing_unexpected_misshapen_and_nan_tensor_is_named(new_base, folder):
    def tamper(tensors):
        del tensors[TRUNK + "h.0.mlp.c_fc.lora_A.weight"]
        tensors[TRUNK + "h.7.mlp.c_fc.lora_A.weight"] = torch.ones(4, 16)
        tensors[TRUNK + "h.1.attn.c_attn.lora_B.weight"] = torch.ones(48, 11)
        tensors[TRUNK + "h.1.mlp.c_proj.lora_B.weight"][0, 0] = float("nan")
        tensors["base_model.model.score.weight"][1, 1] = float("inf")

    _change(folder, tamper)
    found = _refusal(new_base(), folder)
    for line in (
        "h.0.mlp.c_fc.lora_A.weight is missing",
        "h.7.mlp.c_fc.lora_A.weight is unexpected",
        "h.1.attn.c_attn.lora_B.weight has the shape [48, 11], expected [48, 12]",
        "h.1.mlp.c_proj.lora_B.weight holds NaN or infinity",
        "score.weight holds NaN or infinity",
    ):
        assert line in found
    assert found.count("\n") == 5


@pytest.mark.parametrize(
    "name",
    ["h.0.mlp.c_fc.lora_A.weight", "h.1.attn.c_attn.lora_B.weight", "ln_f.bias", "ln_f.weight"],
)
def test_a_tensor_changed_in_its_last_bit_is_found_out(new_base, folder, name):
    def tamper(tensors):
        raw = tensors[TRUNK + name].view(torch.int32)
        raw.view(-1)[0] ^= 1

    _change(folder, tamper)
    assert "was changed after it was written; train again" in _refusal(new_base(), folder)


def _swap_ranks(description) -> None:
    query, key = description["plan"][:2]
    query |= {"rank": 2, "alpha": 4}
    key |= {"rank": 6, "alpha": 12}


@pytest.mark.parametrize(
    "change",
    [
        lambda description: description.update(head_bias=[5.0, -5.0]),
        lambda description: description["labels"].reverse(),
        lambda description: description.update(labels=["ham", "egg"]),
        lambda description: description["plan"].reverse(),
        _swap_ranks,
        lambda description: description.update(base_sha256="0" * 64),
        lambda description: description.update(sha256="0" * 64),
    ],
)
def test_a_changed_description_is_found_out(new_base, folder, change):
    _change_description(folder, change)
    assert "was changed after it was written; train again" in _refusal(new_base(), folder)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float64, torch.bool, torch.bfloat16])
def test_an_adapter_of_another_type_is_refused_by_its_tensor(new_base, folder, dtype):
    name = TRUNK + "h.0.mlp.c_fc.lora_A.weight"
    _change(folder, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    assert f"c_fc.lora_A.weight holds {dtype}, expected" in _refusal(new_base(), folder)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_adapter_is_one_error(new_base, folder, kept):
    path = folder / "adapter_model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "no sound safetensors file" in _refusal(new_base(), folder)


def test_a_pickle_beside_is_named_and_not_opened(new_base, folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "adapter_model.bin beside it is a pickle" in _refusal(new_base(), folder)


def test_a_folder_in_place_of_the_file_is_named(new_base, folder):
    path = folder / "adapter_model.safetensors"
    path.unlink()
    path.mkdir()
    assert f"{path} cannot be read" in _refusal(new_base(), folder)


def test_a_pickle_under_the_name_of_an_adapter_is_never_unpickled(new_base, folder):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    for content in (pickle.dumps(Bomb()), b""):
        (folder / "adapter_model.safetensors").write_bytes(content)
        assert "no sound safetensors file" in _refusal(new_base(), folder)
    torch.save({"lora": torch.ones(1)}, folder / "adapter_model.safetensors")
    assert "no sound safetensors file" in _refusal(new_base(), folder)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_missing_file_is_named(new_base, folder, name):
    (folder / name).unlink()
    assert str(folder / name) in _refusal(new_base(), folder)


@pytest.mark.parametrize(
    "metadata",
    [
        "[" * 200_000,
        "[]",
        "{}",
        "{",
        "3",
        '{"plan": 3, "labels": ["a", "b"]}',
        '{"plan": [{"x": 1}]}',
    ],
)
def test_damaged_metadata_is_one_clear_error(new_base, folder, metadata):
    path = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": metadata})
    assert "damaged loralab metadata" in _refusal(new_base(), folder)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": "8"},
        {"alpha": float("nan")},
        {"rank": 2.5},
        {"rank": 0},
        {"module": 3},
        {"variant": "adalora"},
        {"in_features": True},
        {"rank": 2**62},
        {"alpha": 10**400},
        {"alpha": 0},
        {"variant": "dora"},
        {"surprise": 1},
    ],
)
def test_a_damaged_plan_is_refused(new_base, folder, change):
    _change_description(folder, lambda description: description["plan"][0].update(change))
    assert "damaged loralab metadata" in _refusal(new_base(), folder)


@pytest.mark.parametrize(
    "change",
    [
        {"head_bias": [1.0]},
        {"head_bias": ["1", 2]},
        {"head_bias": 3},
        {"head_bias": [10**400, 1]},
        {"head_bias": [1e300, 1]},
        {"base_sha256": 5},
        {"sha256": None},
        {"labels": ["ham", 3]},
        {"surprise": 1},
        {"labels": ["ham"]},
        {"labels": 5},
        {"plan": []},
    ],
)
def test_a_damaged_description_is_refused(new_base, folder, change):
    _change_description(folder, lambda description: description.update(change))
    assert "damaged loralab metadata" in _refusal(new_base(), folder)


# --- the configuration beside it --------------------------------------------------------------


@pytest.mark.parametrize("key", ["r", "lora_alpha", "peft_type"])
def test_a_missing_key_of_the_configuration_is_named(new_base, folder, key):
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    del config[key]
    path.write_text(json.dumps(config))
    assert _refusal(new_base(), folder) == f"{path}: {key} is missing"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "ADALORA"}, "peft_type 'ADALORA'; expected 'LORA'"),
        ({"bias": "all"}, "asks for what loralab cannot express: bias 'all'"),
        ({"lora_bias": True}, "lora_bias True"),
        ({"use_qalora": True}, "use_qalora True"),
        ({"layer_replication": [[0, 1]]}, "layer_replication [[0, 1]]"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices [3]"),
        ({"alora_invocation_tokens": [3]}, "alora_invocation_tokens [3]"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights 'pissa', which changes the base's"),
        ({"init_lora_weights": 3}, "init_lora_weights 3"),
        ({"use_something_new": {"a": 1}}, "use_something_new {'a': 1}"),
        ({"r": 0}, "r is 0; expected a whole number above 0"),
        ({"r": True}, "r is True; expected a whole number above 0"),
        ({"lora_alpha": "16"}, "lora_alpha is '16'; expected a number"),
        ({"rank_pattern": {"c_fc": 0}}, "rank_pattern 'c_fc' is 0; expected a whole number"),
        ({"rank_pattern": [1]}, "rank_pattern is [1]; expected a mapping"),
        ({"alpha_pattern": {"(": 1}}, "alpha_pattern '(' is no regular expression"),
        ({"r": 2**62}, "expected a whole number above 0"),
        ({"lora_alpha": 10**400}, "expected a number"),
        ({"rank_pattern": {"(?i)C_ATTN": 8}}, "h.0.attn.c_attn has rank 8 there"),
        ({"use_dora": "no"}, "use_dora is 'no'; expected true or false"),
        ({"target_modules": "("}, "target_modules '(' is no regular expression"),
        ({"layers_to_transform": "0"}, "layers_to_transform is '0'; expected whole numbers"),
        ({"layers_to_transform": [0, "1"]}, "layers_to_transform is [0, '1']; expected whole"),
        ({"layers_to_transform": [0], "layers_pattern": "h"}, "c_proj is not among the layers"),
        ({"target_modules": 5}, "target_modules is 5; expected a list or a pattern"),
        ({"r": 8}, "h.0.attn.c_proj has rank 8 there, its tensors have 4"),
        ({"lora_alpha": 9}, "h.0.attn.c_proj is scaled by 2.25 there, by 2 here"),
        ({"target_modules": ["c_fc"]}, "h.0.attn.c_attn is not among the layers targeted there"),
        ({"layers_to_transform": [0]}, "h.1.mlp.c_proj is not among the layers targeted there"),
        ({"use_rslora": True}, "h.0.attn.c_attn is scaled by 6.9282 there, by 2 here"),
        ({"use_dora": True}, "use_dora is True there, h.0.attn.c_attn is a lora here"),
    ],
)
def test_a_configuration_that_says_something_else_is_refused_in_words(
    new_base, folder, changes, words
):
    _change_config(folder, **changes)
    assert words in _refusal(new_base(), folder)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "[" * 200_000])
def test_a_configuration_that_is_no_mapping_is_refused(new_base, folder, content):
    (folder / "adapter_config.json").write_text(content)
    assert "adapter_config.json" in _refusal(new_base(), folder)


@pytest.mark.parametrize(
    "changes",
    [{"init_lora_weights": "gaussian"}, {"use_something_new": None}, {"revision": "main"}],
)
def test_settings_without_effect_are_accepted(new_base, folder, changes):
    _change_config(folder, **changes)
    assert load_adapter(new_base(), folder) == LABELS
