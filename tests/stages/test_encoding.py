"""Base model, tokenizer and longest message must belong together; texts are cut to length."""

import numpy as np
import pytest
import torch
from loralab.errors import LoralabError
from loralab.model.shapes import GPT2Shape
from loralab.model.tokenizer import load_tokenizer
from loralab.stages.encoding import check_sizes, read_labelled
from loralab.stages.inference import load_classifier
from loralab.stages.train import run as train

SIZE, CONTEXT = 260, 32


@pytest.fixture
def tokenizer(saved_tokenizer):
    return load_tokenizer(saved_tokenizer(SIZE))


def test_sizes_that_agree_pass_up_to_the_whole_context(new_base, tokenizer):
    check_sizes(new_base(), tokenizer, CONTEXT)


@pytest.mark.parametrize("vocabulary", [SIZE - 1, SIZE + 1])
def test_a_base_model_of_another_vocabulary_is_one_clear_error(new_base, tokenizer, vocabulary):
    model = new_base(GPT2Shape(vocabulary, CONTEXT, 16, 2, 2))
    with pytest.raises(LoralabError) as error:
        check_sizes(model, tokenizer, CONTEXT)
    assert str(error.value) == (
        f"the tokenizer embedded-bpe has 260 tokens, the base model {vocabulary}; "
        "choose tokenizer and base that belong together"
    )


def test_a_length_beyond_the_context_is_one_clear_error(new_base, tokenizer):
    with pytest.raises(LoralabError) as error:
        check_sizes(new_base(), tokenizer, CONTEXT + 1)
    assert str(error.value) == (
        "training.max_length is 33, the base model has 32 positions; lower it"
    )


def _train(job):
    train(job)


def _classify(job):
    load_classifier(job.layout, torch.device("cpu"))


@pytest.mark.parametrize("use", [_train, _classify])
@pytest.mark.parametrize(
    ("size", "longest", "message"),
    [(259, CONTEXT, "has 259 tokens, the base model 260"), (SIZE, 33, "max_length is 33")],
)
def test_training_and_classifying_check_sizes_first(
    saved_base, saved_tokenizer, saved_splits, job, use, size, longest, message
):
    saved_tokenizer(size)
    wanted = job(training={"max_length": longest})
    with pytest.raises(LoralabError, match=message):
        use(wanted)
    assert list(wanted.folder.iterdir()) == []


def test_texts_are_cut_to_their_first_tokens_and_shorter_ones_kept_whole(tokenizer, tmp_path):
    texts = ["call me now, call me now, call me", "now"]
    (tmp_path / "test.csv").write_text(f'id,label,text\n7,spam,"{texts[0]}"\n9,ham,{texts[1]}\n')
    first, second = (tokenizer.encode(text) for text in texts)
    assert len(first) > 5 > len(second)
    labelled = read_labelled(tmp_path / "test.csv", tokenizer, ["ham", "spam"], 5, tmp_path)
    assert labelled.texts.lengths.tolist() == [5, len(second)]
    assert labelled.texts.tokens.tolist() == first[:5] + second
    np.testing.assert_array_equal(labelled.labels, [1, 0])


def test_a_label_that_was_not_declared_is_refused_by_name(saved_tokenizer, tmp_path):
    tokenizer = load_tokenizer(saved_tokenizer())
    (tmp_path / "train.csv").write_text("id,label,text\n0,ham,call\n1,eggs,now\n")
    with pytest.raises(LoralabError, match="train.csv: label 'eggs' is not among data.labels"):
        read_labelled(tmp_path / "train.csv", tokenizer, ["ham", "spam"], 5, tmp_path)
