"""From a split's CSV to encoded, labelled texts, as train, evaluate and classify need them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tiktoken
import torch

from loralab.data.messages import read_table_in_chunks
from loralab.errors import LoralabError, raise_all
from loralab.model.gpt2 import GPT2
from loralab.model.tokenizer import encode
from loralab.stages.labels import label_indices
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts

PADDING = "padding"  # of head.position: the head reads there, as the lab of another year did
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
    path: Path,
    tokenizer: tiktoken.Encoding,
    labels: list[str],
    max_length: int,
    scratch: Path,
    padded: bool = False,
) -> LabelledTexts:
    """A split's texts, encoded, with the index of each label.

    The file is read piece by piece, and the tokens lie on disk, in `scratch`: memory does not grow
    with the texts. Raises LoralabError where the file is damaged or a label is not among `labels`.
    """
    places: list[np.ndarray] = []

    def encoded() -> Iterator[list[int]]:
        for table in read_table_in_chunks(path):
            _check_labels(table, labels, path)
            places.append(label_indices(table, labels))
            yield from (encode(tokenizer, t, max_length, padded) for t in table["text"])

    texts = EncodedTexts.on_disk(encoded(), scratch)
    return LabelledTexts(texts, np.concatenate([np.zeros(0, dtype=np.int64), *places]))


def _check_labels(table: pd.DataFrame, labels: list[str], path: Path) -> None:
    unknown = sorted(set(table["label"]) - set(labels))
    raise_all(
        [f"label {u!r} is not among data.labels; run split again" for u in unknown], str(path)
    )
