"""A merged classifier as transformers opens it, and what merging changed."""

import numpy as np
import pytest
import torch
import transformers
from loralab.errors import LoralabError
from loralab.model.export import export_classifier, logit_change, make_exportable
from loralab.model.head_bias import move_head_bias
from loralab.model.lora import TRAINED, merge

LABELS = ["ham", "spam"]


def _merged(new_classifier, **settings):
    model = new_classifier(**settings)
    make_exportable(model, torch.float32)
    return model


@pytest.mark.parametrize("variant", TRAINED)
@pytest.mark.parametrize("bias", [True, False])
def test_transformers_gives_the_same_logits(new_classifier, ids, lengths, tmp_path, variant, bias):
    beside = new_classifier(variant=variant, bias=bias).classify(ids, lengths)
    export_classifier(_merged(new_classifier, variant=variant, bias=bias), LABELS, tmp_path)
    stock, loading = transformers.GPT2ForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(loading.values())
    with torch.no_grad():
        found = stock.eval()(input_ids=ids).logits
    torch.testing.assert_close(found, beside, atol=1e-5, rtol=1e-5)


def test_transformers_finds_labels_padding_and_type(new_classifier, tmp_path):
    export_classifier(_merged(new_classifier).bfloat16(), LABELS, tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == {0: "ham", 1: "spam"}
    assert config.label2id == {"ham": 0, "spam": 1}
    assert config.pad_token_id == 63
    assert config.dtype == torch.bfloat16
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert stock.dtype == torch.bfloat16


def test_the_change_of_logits_and_labels_is_counted():
    before = np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 0.5]])
    after = np.array([[1.0, 2.25], [1.0, 1.5], [0.0, 0.5]])
    found = logit_change(before, after)
    assert (found.texts, found.largest, found.flipped_labels) == (3, 2.0, 1)
    assert logit_change(before, before).largest == 0.0


def test_in_bf16_transformers_gives_the_logits_that_we_measured(
    new_classifier, ids, lengths, tmp_path
):
    model = new_classifier()
    make_exportable(model, torch.bfloat16)
    export_classifier(model, LABELS, tmp_path)
    stock = transformers.GPT2ForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        found, expected = stock.eval()(input_ids=ids).logits, model.classify(ids, lengths)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model: None, "a head with a bias cannot be exported; make_exportable"),
        (
            lambda model: (move_head_bias(model), merge(model)),
            "merge its adapters and unload them first",
        ),
        (lambda model: make_exportable(model, torch.float32), "2 outputs cannot have 3 labels"),
        (
            lambda model: (
                make_exportable(model, torch.float32),
                model.head.weight.data.fill_(float("nan")),
            ),
            "tensor score.weight holds NaN",
        ),
    ],
    ids=["with a bias", "with adapters", "labels", "NaN"],
)
def test_what_transformers_would_read_otherwise_is_not_exported(
    new_classifier, tmp_path, spoil, words
):
    model = new_classifier()
    spoil(model)
    labels = [*LABELS, "x"] if "labels" in words else LABELS
    with pytest.raises(LoralabError, match=words):
        export_classifier(model, labels, tmp_path)
    assert not list(tmp_path.iterdir())
