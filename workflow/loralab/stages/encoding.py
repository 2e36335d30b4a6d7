"""From a split's CSV to encoded, labelled texts, as train, evaluate and classify need them."""

from pathlib import Path

import numpy as np
import pandas as pd
import tiktoken
import torch

from loralab.data.messages import read_table
from loralab.errors import LoralabError, raise_all
from loralab.model.gpt2 import GPT2
from loralab.model.tokenizer import encode
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}


def check_sizes(model: GPT2, tokenizer: tiktoken.Encoding, max_length: int) -> None:
    """Raise where base model, tokenizer and `training.max_length` do not belong together."""
    if tokenizer.n_vocab != model.shape.vocabulary:
        raise LoralabError(
            f"the tokenizer {tokenizer.name} has {tokenizer.n_vocab} tokens, the base model "
            f"{model.shape.vocabulary}; choose tokenizer and base that belong together"
        )
    if max_length > model.shape.context:
        raise LoralabError(
            f"training.max_length is {max_length}, the base model has {model.shape.context} "
            "positions; lower it"
        )


def read_labelled(
    path: Path, tokenizer: tiktoken.Encoding, labels: list[str], max_length: int
) -> LabelledTexts:
    """A split's texts, encoded, with the index of each label.

    Raises LoralabError where the file is damaged or a label is not among `labels`.
    """
    table = read_table(path)
    unknown = sorted(set(table["label"]) - set(labels))
    raise_all(
        [f"label {u!r} is not among data.labels; run split again" for u in unknown], str(path)
    )
    return encode_labelled(table, tokenizer, labels, max_length)


def encode_labelled(
    table: pd.DataFrame, tokenizer: tiktoken.Encoding, labels: list[str], max_length: int
) -> LabelledTexts:
    """The texts of a table of messages, encoded, with the index of each label in `labels`."""
    texts = EncodedTexts.from_lists([encode(tokenizer, t, max_length) for t in table["text"]])
    return LabelledTexts(texts, label_indices(table, labels))


def label_indices(table: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """The place in `labels` of each message's label, (n,)."""
    return np.array([labels.index(label) for label in table["label"]], dtype=np.int64)
