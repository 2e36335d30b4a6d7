"""The work: the lab's 1195 training messages as token ids and labels.

They are the real messages and GPT-2's tokens where $LORALAB_MIRROR has the pinned files, else
generated messages and the tokens of a BPE trained on generated text, so that no network is needed.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import tiktoken
from loralab.config_file import load_mapping
from loralab.data.corpus import generate_messages, generate_unlabelled_text
from loralab.data.messages import MessageFormat, read_messages
from loralab.data.splitting import split_as_the_lab
from loralab.fetching.archives import extract_member
from loralab.fetching.pinned import Pinned, find_in_mirror
from loralab.model.tokenizer import encode, load_tokenizer, train_bpe, write_tokenizer
from loralab.stages.labels import label_indices
from loralab.training.batches import EncodedTexts
from loralab.training.labelled import LabelledTexts

from benchmarks.conditions import MAX_LENGTH, ROOT, SEED


@dataclass(frozen=True)
class Task:
    """The messages to train on, and what they are in words and numbers."""

    train: LabelledTexts
    description: dict


def load_task() -> Task:
    """The training messages of the lab's split, encoded."""
    settings = load_mapping([str(ROOT / "config.yaml"), str(ROOT / "experiments" / "lab.yaml")])
    with TemporaryDirectory() as folder:
        source, messages, tokenizer = _real(settings, Path(folder)) or _embedded(
            settings, Path(folder)
        )
    labels = settings["data"]["labels"]
    table = split_as_the_lab(messages, labels, SEED).tables["train"]
    texts = EncodedTexts.from_lists(encode(tokenizer, t, MAX_LENGTH) for t in table["text"])
    train = LabelledTexts(texts, label_indices(table, labels))
    lengths = train.texts.lengths
    description = {
        "source": source,
        "messages": len(train),
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max()),
    }
    return Task(train, description)


def _real(settings: dict, folder: Path) -> tuple[str, pd.DataFrame, tiktoken.Encoding] | None:
    """The SMS Spam Collection with GPT-2's tokenizer, where the mirror has both."""
    messages = _bring_messages(settings["data"], folder)
    parts = [settings["tokenizer"][part] for part in ("merges", "vocabulary")]
    if messages is None or not all(_bring_tokenizer_file(part, folder) for part in parts):
        return None
    source = "SMS Spam Collection, GPT-2's tokenizer"
    format_ = {field.name: settings["data"][field.name] for field in fields(MessageFormat)}
    return source, read_messages(messages, MessageFormat(**format_)), load_tokenizer(folder)


def _bring_messages(data: dict, folder: Path) -> Path | None:
    """The messages' file, from the mirror as such or within its archive."""
    name, target, archive = data["member"], folder / data["member"], folder / "archive.zip"
    if find_in_mirror(name, data["member_sha256"], target, None, folder):
        return target
    zipped = Pinned(tuple(data["urls"]), data["sha256"], "data.urls")
    if not find_in_mirror(zipped.name, zipped.sha256, archive, None, folder):
        return None
    extract_member(archive, name, target)
    return target


def _bring_tokenizer_file(part: dict, folder: Path) -> str | None:
    pinned = Pinned(tuple(part["urls"]), part["sha256"], "tokenizer")
    return find_in_mirror(pinned.name, pinned.sha256, folder / pinned.name, None, folder)


def _embedded(settings: dict, folder: Path) -> tuple[str, pd.DataFrame, tiktoken.Encoding]:
    """The project's generated messages, and the tokenizer that it trains on generated text."""
    corpus, bpe = settings["data"]["embedded"], settings["tokenizer"]["embedded"]
    rows = generate_messages(corpus["seed"], corpus["messages"], corpus["spam"])
    texts = generate_unlabelled_text(bpe["seed"], bpe["messages"])
    write_tokenizer(train_bpe(texts, bpe["size"]), folder)
    source = f"generated messages, a tokenizer of {bpe['size']} tokens trained on generated text"
    return source, pd.DataFrame(rows, columns=["label", "text"]), load_tokenizer(folder)
