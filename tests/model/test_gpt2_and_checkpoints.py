"""GPT-2 against transformers, its files, and what loading refuses."""

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from loralab.errors import LoralabError
from loralab.model.checkpoints import load_base, read_base_shape, save_base
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.shapes import SIZES
from loralab.model.tensor_files import read_safetensors


@pytest.fixture
def folder(base, tmp_path: Path) -> Path:
    save_base(base, tmp_path)
    return tmp_path


def _rewrite(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in read_safetensors(folder / "model.safetensors").items()}


def test_language_model_gives_the_logits_of_transformers(base, folder, ids):
    oracle = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(base(ids), oracle(ids).logits, atol=1e-5, rtol=1e-5)


def test_hidden_states_are_those_of_transformers(base, folder, ids):
    oracle = transformers.GPT2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        found, expected = base.hidden_states(ids), oracle(ids).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_weights_saved_by_transformers_load_here(base, folder, ids, tmp_path):
    transformers.GPT2LMHeadModel.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        assert torch.equal(load_base(tmp_path / "theirs").eval()(ids), base(ids))


def test_config_json_gives_transformers_the_shape(base, folder):
    config = transformers.GPT2Config.from_pretrained(folder)
    found = (config.vocab_size, config.n_positions, config.n_embd, config.n_layer, config.n_head)
    assert found == (64, 32, 16, 2, 2)
    assert config.activation_function == "gelu_new"
    assert config.eos_token_id == 63
    assert read_base_shape(folder) == base.shape


def test_saved_base_loads_with_the_same_bytes(base, folder):
    loaded = load_base(folder).state_dict()
    assert loaded.keys() == base.state_dict().keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in base.state_dict().items())


def test_head_and_embedding_do_not_share_memory_after_loading(folder):
    model = load_base(folder)
    with torch.no_grad():
        model.head.weight.zero_()
    assert model.wte.weight.any()


def test_a_position_never_sees_those_after_it(base, ids):
    other = ids.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 64
    with torch.no_grad():
        before, after = base(ids), base(other)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_more_tokens_than_positions_are_refused(base):
    with pytest.raises(ValueError, match="33 tokens exceed the context of 32"):
        base(torch.zeros(1, 33, dtype=torch.long))


def test_classify_reads_the_last_real_token(base, ids, lengths):
    with torch.no_grad():
        everywhere, found = base(ids), base.classify(ids, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found[row], everywhere[row, length - 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "llama"),
        ("activation_function", "relu"),
        ("activation_function", "gelu"),
        ("layer_norm_epsilon", 0.1),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
    ],
)
def test_a_configuration_of_another_network_is_refused(folder, key, value):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(LoralabError, match=f"another network than GPT-2: {key} is {value!r}"):
        load_base(folder)


@pytest.mark.parametrize("value", [0, -2, True, 2.0, "2", None, 10**30])
def test_a_shape_that_no_network_has_is_refused(folder, value):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_layer": value}))
    with pytest.raises(LoralabError, match=r"config\.json: n_layer is no whole number above 0"):
        load_base(folder)


def test_an_output_layer_of_its_own_is_refused(folder):
    tensors = _tensors(folder)
    tensors["lm_head.weight"] = tensors["wte.weight"] + 1
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError, match=r"lm_head\.weight is not wte\.weight"):
        load_base(folder)


def test_a_number_too_large_for_float32_is_refused(folder):
    tensors = _tensors(folder)
    tensors["ln_f.bias"] = tensors["ln_f.bias"].double()
    tensors["ln_f.bias"][0] = 1e39
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError, match=r"ln_f\.bias holds NaN or infinity"):
        load_base(folder)


def test_a_model_with_adapters_is_not_written_as_a_base(new_classifier, tmp_path):
    with pytest.raises(LoralabError, match=r"a base model has no h\.0.*; merge its adapters"):
        save_base(new_classifier(), tmp_path)


@pytest.mark.parametrize(
    ("ids", "lengths"),
    [([[63, 63, 5, 6]], [2]), ([[5, 6, 7, 63]], [2]), ([[5, 6, 7, 8]], [0]), ([[63, 63]], [0])],
    ids=["left padding", "a token beyond the length", "a length of zero", "nothing but padding"],
)
def test_what_is_not_padded_on_the_right_is_refused(base, ids, lengths):
    with pytest.raises(ValueError, match="not padded on the right"):
        base.classify(torch.tensor(ids), torch.tensor(lengths))


def test_the_padding_token_inside_a_message_is_read_like_any_other(base):
    ids = torch.tensor([[5, 63, 6, 63, 63, 63]])
    with torch.no_grad():
        everywhere = base(ids)
        for length in (3, 4):
            found = base.classify(ids, torch.tensor([length]))
            torch.testing.assert_close(found[0], everywhere[0, length - 1], atol=1e-5, rtol=0)


def test_every_missing_unexpected_and_misshapen_tensor_is_named(folder):
    tensors = _tensors(folder)
    del tensors["h.0.attn.c_attn.weight"], tensors["ln_f.bias"]
    tensors["h.1.mlp.c_fc.weight"] = tensors["h.1.mlp.c_fc.weight"].T.contiguous()
    tensors |= {"h.2.ln_1.weight": torch.ones(16), "surprise": torch.ones(1)}
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError) as error:
        load_base(folder)
    for line in (
        "h.0.attn.c_attn.weight is missing",
        "ln_f.bias is missing",
        "h.2.ln_1.weight is unexpected",
        "surprise is unexpected",
        "h.1.mlp.c_fc.weight has the shape [64, 16], expected [16, 64]",
    ):
        assert line in str(error.value)
    assert str(error.value).count("\n") == 5


def test_prefixed_names_and_mask_buffers_are_accepted(base, folder):
    tensors = {f"transformer.{name}": tensor for name, tensor in _tensors(folder).items()}
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    tensors["transformer.h.1.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    _rewrite(folder, tensors)
    loaded = load_base(folder).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in base.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_refused_by_name(folder, value):
    tensors = _tensors(folder)
    tensors["h.1.mlp.c_proj.bias"][3] = value
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError, match=r"h\.1\.mlp\.c_proj\.bias holds NaN or infinity"):
        load_base(folder)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_one_error_that_names_it(folder, share):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(LoralabError, match=r"model\.safetensors is no sound safetensors file"):
        load_base(folder)


def test_a_pickle_under_the_name_of_safetensors_is_never_unpickled(folder):
    (folder / "model.safetensors").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(LoralabError, match="no sound safetensors file"):
        load_base(folder)


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


def test_a_missing_file_is_an_error_that_names_it(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(LoralabError, match=r"model\.safetensors is missing"):
        load_base(folder)


def test_weights_load_in_the_precision_that_is_asked_for(folder):
    model = load_base(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("size", "tied"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_the_four_sizes_have_the_published_parameter_counts(size, tied):
    with torch.device("meta"):
        model = GPT2(SIZES[size])
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total - model.head.weight.numel() == tied
    if size == "gpt2":
        assert total == 163_037_184


def test_initial_weights_are_a_function_of_the_seed_and_narrower_at_the_residual(base):
    initialise(base, torch.Generator().manual_seed(5))
    first = base.h[0].mlp.c_fc.weight.clone()
    assert abs(first.std().item() - 0.02) < 0.002
    assert abs(base.h[0].mlp.c_proj.weight.std().item() - 0.01) < 0.001
    assert torch.equal(base.head.weight, base.wte.weight)
    assert torch.equal(base.ln_f.weight, torch.ones(16))
    initialise(base, torch.Generator().manual_seed(5))
    assert torch.equal(base.h[0].mlp.c_fc.weight, first)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_a_tensor_that_is_no_floating_point_number_is_refused_by_name(folder, dtype):
    tensors = _tensors(folder)
    tensors["wpe.weight"] = tensors["wpe.weight"].to(dtype)
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError, match=f"wpe.weight holds {dtype}, no floating point"):
        load_base(folder)


def test_a_tensor_under_two_names_is_refused(folder):
    tensors = _tensors(folder)
    tensors["transformer.wte.weight"] = tensors["wte.weight"].clone()
    _rewrite(folder, tensors)
    with pytest.raises(LoralabError, match="tensor wte.weight is there twice"):
        load_base(folder)
