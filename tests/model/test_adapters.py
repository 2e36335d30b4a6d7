"""Adapters on disk: read back to the same logits, refused when damaged, read by PEFT."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from loralab.errors import LoralabError
from loralab.model.adapters import load_adapter, save_adapter
from loralab.model.checkpoints import save_base
from loralab.model.gpt2 import GPT2Shape
from loralab.model.lora import adapter_layers
from peft import PeftModel
from safetensors import safe_open

LABELS = ["ham", "spam"]
TRUNK = "base_model.model.transformer."


def _change(folder: Path, change) -> None:
    """Rewrite the adapter file with `change` applied to its tensors, metadata kept."""
    path = folder / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(tensors)
    safetensors.torch.save_file(tensors, path, metadata=metadata)


@pytest.fixture
def folder(new_classifier, tmp_path: Path) -> Path:
    save_adapter(new_classifier(), LABELS, "tiny", tmp_path)
    return tmp_path


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["k_proj", "c_proj"]])
def test_a_round_trip_gives_the_same_logits(
    new_base, new_classifier, ids, lengths, tmp_path, bias, targets
):
    model, loaded = new_classifier(targets=targets, bias=bias), new_base()
    save_adapter(model, LABELS, "tiny", tmp_path)
    assert load_adapter(loaded, tmp_path) == LABELS
    with torch.no_grad():
        assert torch.equal(loaded.classify(ids, lengths), model.classify(ids, lengths))
    assert loaded.state_dict().keys() == model.state_dict().keys()


def test_nested_adapters_are_saved_as_one_of_the_summed_rank(
    new_base, new_classifier, ids, lengths, tmp_path
):
    model, loaded = new_classifier(rank=8, injections=2), new_base()
    save_adapter(model, LABELS, "tiny", tmp_path)
    load_adapter(loaded, tmp_path)
    assert {len(layer.lora_A) for _, layer in adapter_layers(loaded)} == {16}
    assert {layer.scaling for _, layer in adapter_layers(loaded)} == {2.0}
    with torch.no_grad():
        found, expected = loaded.classify(ids, lengths), model.classify(ids, lengths)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_missing_unexpected_misshapen_and_nan_tensor_is_named(new_base, folder):
    def tamper(tensors):
        del tensors[TRUNK + "h.0.mlp.c_fc.lora_A.weight"]
        tensors[TRUNK + "h.7.mlp.c_fc.lora_A.weight"] = torch.ones(4, 16)
        tensors[TRUNK + "h.1.attn.c_attn.lora_B.weight"] = torch.ones(48, 11)
        tensors[TRUNK + "h.1.mlp.c_proj.lora_B.weight"][0, 0] = float("nan")
        tensors["base_model.model.score.weight"][1, 1] = float("inf")

    _change(folder, tamper)
    with pytest.raises(LoralabError) as error:
        load_adapter(new_base(), folder)
    for line in (
        "h.0.mlp.c_fc.lora_A.weight is missing",
        "h.7.mlp.c_fc.lora_A.weight is unexpected",
        "h.1.attn.c_attn.lora_B.weight has the shape [48, 11], expected [48, 12]",
        "h.1.mlp.c_proj.lora_B.weight holds NaN or infinity",
        "score.weight holds NaN or infinity",
    ):
        assert line in str(error.value)
    assert str(error.value).count("\n") == 5


def test_an_adapter_for_another_width_is_refused_and_the_base_left_alone(new_base, folder):
    model = new_base(GPT2Shape(64, 32, 32, 2, 2))
    with pytest.raises(LoralabError, match="h.0.attn.q_proj is 16 to 16, in the base model 32 to"):
        load_adapter(model, folder)
    assert not list(adapter_layers(model))


def test_an_adapter_for_more_layers_is_refused(new_base, folder):
    with pytest.raises(LoralabError, match=r"h\.1\.mlp\.c_fc is adapted and is no linear layer"):
        load_adapter(new_base(GPT2Shape(64, 32, 16, 1, 2)), folder)


def test_a_truncated_adapter_is_one_error(new_base, folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LoralabError, match="no sound safetensors file"):
        load_adapter(new_base(), folder)


def test_an_adapter_without_our_metadata_is_refused(new_base, folder):
    path = folder / "adapter_model.safetensors"
    safetensors.torch.save_file(safetensors.torch.load_file(path), path)
    with pytest.raises(LoralabError, match="has no loralab metadata"):
        load_adapter(new_base(), folder)


def test_the_configuration_tells_rank_and_alpha_of_each_fused_layer(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["rank_pattern"] == {"h.0.attn.c_attn": 12, "h.1.attn.c_attn": 12}
    assert config["alpha_pattern"] == {"h.0.attn.c_attn": 24, "h.1.attn.c_attn": 24}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(
    ("targets", "injections"),
    [("all-linear", 1), ("all-linear", 2), (["q_proj", "v_proj"], 1), (["k_proj", "c_fc"], 1)],
)
def test_stock_peft_gives_the_same_logits(
    base, new_classifier, ids, lengths, tmp_path, targets, injections
):
    model = new_classifier(targets=targets, injections=injections, bias=False)
    save_base(base, tmp_path)
    save_adapter(model, LABELS, "tiny", tmp_path / "adapter")
    stock = transformers.GPT2ForSequenceClassification.from_pretrained(
        tmp_path, num_labels=2, pad_token_id=63
    )
    adapted = PeftModel.from_pretrained(stock, tmp_path / "adapter").eval()
    padded = ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], 63)
    with torch.no_grad():
        expected = adapted(input_ids=padded).logits
        found = model.classify(ids, lengths)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "metadata",
    ["[]", "{}", '{"plan": 3, "labels": ["a", "b"]}', '{"plan": [{"x": 1}], "labels": ["a", "b"]}'],
)
def test_damaged_metadata_is_one_clear_error(new_base, folder, metadata):
    path = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": metadata})
    with pytest.raises(LoralabError, match="damaged loralab metadata"):
        load_adapter(new_base(), folder)


def test_a_planned_rank_of_zero_is_refused(new_base, folder):
    path = folder / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["loralab"])
    metadata["plan"][0]["rank"] = 0
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": json.dumps(metadata)})
    with pytest.raises(LoralabError, match="damaged loralab metadata"):
        load_adapter(new_base(), folder)


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


def test_the_dropout_of_the_adapters_is_in_the_configuration(new_classifier, tmp_path):
    save_adapter(new_classifier(), LABELS, "tiny", tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["lora_dropout"] == 0.0
    model = new_classifier()
    for _, layer in adapter_layers(model):
        layer.dropout.p = 0.25
    save_adapter(model, LABELS, "tiny", tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["lora_dropout"] == 0.25


@pytest.mark.parametrize("dtype", [torch.int32, torch.float64, torch.bool])
def test_an_adapter_of_another_type_is_refused_by_its_tensor(new_base, folder, dtype):
    name = TRUNK + "h.0.mlp.c_fc.lora_A.weight"
    _change(folder, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    with pytest.raises(LoralabError, match=f"c_fc.lora_A.weight holds {dtype}, expected"):
        load_adapter(new_base(), folder)


@pytest.mark.parametrize(
    "change", [{"alpha": "8"}, {"alpha": float("nan")}, {"rank": 2.5}, {"rank": 0}, {"module": 3}]
)
def test_damaged_metadata_is_refused(new_base, folder, change):
    path = folder / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["loralab"])
    description["plan"][0] |= change
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": json.dumps(description)})
    with pytest.raises(LoralabError, match="damaged loralab metadata"):
        load_adapter(new_base(), folder)
