"""GPT-2 against transformers on random weights: every position, every block, every size."""

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from loralab.model.checkpoints import base_config, from_file_layout, to_file_layout
from loralab.model.gpt2 import GPT2, replace_head
from loralab.model.shapes import SIZES, GPT2Shape

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}

# Few words and few blocks of the four sizes' own width and heads: what arithmetic depends on.
SHORTENED = {name: GPT2Shape(96, 24, shape.width, 1, shape.heads) for name, shape in SIZES.items()}

shapes = st.builds(
    lambda vocabulary, context, heads, per_head, layers: GPT2Shape(
        vocabulary, context, heads * per_head, layers, heads
    ),
    st.integers(4, 90),
    st.integers(8, 40),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 4),
)


def _pair(shape: GPT2Shape, stock: type, seed: int = 1, **config):
    """Our model with random weights, and transformers' with the same."""
    drawn = torch.Generator().manual_seed(seed)
    model = GPT2(shape).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.05, generator=drawn)
            if ".ln_" in name or name.startswith("ln_f"):
                parameter.add_(1.0)
        model.head.weight.copy_(model.wte.weight)
    oracle = stock(transformers.GPT2Config(**base_config(shape) | config)).eval()
    names = oracle.state_dict().keys()
    tensors = {f"transformer.{name}": tensor for name, tensor in to_file_layout(model).items()}
    tensors["lm_head.weight"] = model.head.weight
    oracle.load_state_dict({n: t for n, t in tensors.items() if n in names}, strict=False)
    return model, oracle


def _ids(shape: GPT2Shape, rows: int, length: int) -> torch.Tensor:
    return torch.randint(
        shape.end_of_text, (rows, length), generator=torch.Generator().manual_seed(length)
    )


def _hidden_after_each_block(model: GPT2, ids: torch.Tensor) -> list[torch.Tensor]:
    found = []
    hooks = [b.register_forward_hook(lambda _m, _i, out: found.append(out)) for b in model.h]
    found.append(model.hidden_states(ids))
    for hook in hooks:
        hook.remove()
    return found


@settings(max_examples=40)
@given(shapes, st.integers(1, 3), st.data())
def test_any_shape_gives_the_logits_of_transformers_at_every_position(shape, rows, data):
    ids = _ids(shape, rows, data.draw(st.integers(1, shape.context)))
    model, oracle = _pair(shape, transformers.GPT2LMHeadModel)
    with torch.no_grad():
        torch.testing.assert_close(model(ids), oracle(ids).logits, **TOLERANCE)


@pytest.mark.parametrize("shape", SHORTENED.values(), ids=SHORTENED)
def test_the_four_sizes_have_the_hidden_states_of_transformers_after_every_block(shape):
    ids = _ids(shape, 2, 24)
    model, oracle = _pair(shape, transformers.GPT2LMHeadModel)
    with torch.no_grad():
        found = _hidden_after_each_block(model, ids)
        expected = oracle.transformer(ids, output_hidden_states=True).hidden_states
    # transformers normalises the last of its hidden states, and leaves out the one before.
    torch.testing.assert_close(found[-1], expected[-1], **TOLERANCE)
    for ours, theirs in zip(found[:-2], expected[1:-1], strict=True):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)


def test_deep_models_have_the_hidden_states_of_transformers_after_every_block():
    shape = GPT2Shape(90, 40, 48, 12, 6)
    ids = _ids(shape, 3, 40)
    model, oracle = _pair(shape, transformers.GPT2LMHeadModel)
    with torch.no_grad():
        found = _hidden_after_each_block(model, ids)
        expected = oracle.transformer(ids, output_hidden_states=True).hidden_states
    assert len(found) == len(expected) == 13
    for ours, theirs in zip(found[:-2], expected[1:-1], strict=True):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)


@settings(max_examples=30)
@given(shapes, st.integers(2, 6), st.data())
def test_any_shape_gives_the_classification_logits_of_transformers(shape, labels, data):
    stock = transformers.GPT2ForSequenceClassification
    model, oracle = _pair(shape, stock, num_labels=labels, pad_token_id=shape.end_of_text)
    replace_head(model, labels, bias=False, generator=torch.Generator().manual_seed(2))
    oracle.score.weight.data = model.head.weight.data.clone()
    lengths = torch.tensor(
        data.draw(st.lists(st.integers(1, shape.context), min_size=1, max_size=4))
    )
    ids = _ids(shape, len(lengths), int(lengths.max()))
    ids = ids.masked_fill(torch.arange(ids.shape[1]) >= lengths[:, None], shape.end_of_text)
    with torch.no_grad():
        found, expected = model.classify(ids, lengths), oracle(ids).logits
    torch.testing.assert_close(found, expected, **TOLERANCE)


def test_the_configuration_of_the_published_model_is_what_transformers_takes_for_granted():
    stock = transformers.GPT2Config().to_dict()
    ours = base_config(SIZES["gpt2"])
    ours.pop("n_ctx")  # of older versions, for which n_positions now stands
    assert ours == {key: stock[key] for key in ours}


@pytest.mark.parametrize("size", SIZES)
def test_the_file_layout_of_every_size_is_that_of_transformers(size):
    with torch.device("meta"):
        ours = to_file_layout(GPT2(SIZES[size]))
        oracle = transformers.GPT2Model(transformers.GPT2Config(**base_config(SIZES[size])))
    theirs = {name: tensor.shape for name, tensor in oracle.state_dict().items()}
    assert {name: tensor.shape for name, tensor in ours.items()} == theirs


@given(shapes)
def test_the_file_layout_leads_there_and_back_to_the_bit(shape):
    model = GPT2(shape)
    with torch.no_grad():
        model.head.weight.copy_(model.wte.weight)
    state = from_file_layout(to_file_layout(model), model, "a test")
    expected = model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
