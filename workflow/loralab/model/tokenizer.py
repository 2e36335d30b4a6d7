"""GPT-2's byte-level BPE, run by tiktoken from the two files that OpenAI published.

Both files are read here, from disk: tiktoken's own registry, with its downloads and its cache, is
never used. A vocabulary trained by the project is written in the same two formats, so that one
reader serves both.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import tiktoken
import tokenizers

from loralab.errors import LoralabError

END_OF_TEXT = "<|endoftext|>"
MERGES_FILE = "vocab.bpe"
VOCABULARY_FILE = "encoder.json"

# How GPT-2 cuts text before it merges bytes (openai/gpt-2, encoder.py): contractions, words and
# numbers with their leading space, punctuation, white space.
SPLIT_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)  # fmt: skip


def load_tokenizer(folder: Path) -> tiktoken.Encoding:
    """Build the encoding from `vocab.bpe` and `encoder.json` in `folder`.

    The token with the highest id is `<|endoftext|>`. Raises LoralabError where a file is damaged or
    the two disagree.
    """
    ranks = _ranks(_read_merges(folder / MERGES_FILE))
    _check_vocabulary(folder / VOCABULARY_FILE, ranks)
    return tiktoken.Encoding(
        name=folder.name,
        pat_str=SPLIT_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: len(ranks)},
        explicit_n_vocab=len(ranks) + 1,
    )


def encode(
    tokenizer: tiktoken.Encoding, text: str, max_length: int, padded: bool = False
) -> list[int]:
    """Token ids of a text, cut at `max_length`; at least one.

    As in the lab, `<|endoftext|>` inside a message becomes that one token. With `padded`, as many
    of it as make `max_length` follow the text and are read like it, so that the last token is one
    of padding. Raises LoralabError for an empty text, which has no token to classify at.
    """
    ids = tokenizer.encode(text, allowed_special={END_OF_TEXT})[:max_length]
    if not ids:
        raise LoralabError("an empty text cannot be classified; give at least one character")
    return ids + [tokenizer.eot_token] * (max_length - len(ids)) if padded else ids


def count_cut(tokenizer: tiktoken.Encoding, texts: Iterable[str], max_length: int) -> int:
    """How many texts have more than `max_length` tokens, and so are cut."""
    encoded = (tokenizer.encode(text, allowed_special={END_OF_TEXT}) for text in texts)
    return sum(len(ids) > max_length for ids in encoded)


def train_bpe(texts: Iterable[str], size: int) -> list[tuple[str, str]]:
    """Learn the merges of a byte-level BPE with `size` tokens, `<|endoftext|>` included.

    Merges are pairs in GPT-2's printable form of bytes. Raises LoralabError where the texts are too
    few or too poor for so many merges.
    """
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - 1,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(model.to_str())["model"]["merges"]]
    if len(merges) != size - 1 - 256:
        raise LoralabError(
            f"the texts yield {len(merges) + 257} tokens, tokenizer.embedded.size is {size}; "
            "lower it or raise tokenizer.embedded.messages"
        )
    return merges


def write_tokenizer(merges: list[tuple[str, str]], folder: Path) -> None:
    """Write merges as `vocab.bpe` and `encoder.json`, in GPT-2's formats and order of ids."""
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / MERGES_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokens = [*_byte_symbols(), *("".join(pair) for pair in merges), END_OF_TEXT]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / VOCABULARY_FILE).write_text(json.dumps(vocabulary), encoding="utf-8")


def _byte_symbols() -> dict[str, int]:
    """GPT-2's printable symbol of each byte, in the order of token ids.

    Printable bytes of Latin-1 stand for themselves and come first; the other 68 follow as U+0100
    onwards, so that no symbol is a space or a control character (a merge file is split at spaces).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {chr(byte): byte for byte in printable}
    return symbols | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def _read_merges(path: Path) -> list[tuple[bytes, bytes]]:
    symbols = _byte_symbols()
    merges = []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.startswith("#version") or not line:
            continue
        halves = line.split(" ")
        if len(halves) != 2 or not all(symbol in symbols for half in halves for symbol in half):
            raise LoralabError(f"{path} line {number} is no merge of two symbols: {line!r}")
        merges.append(tuple(bytes(symbols[symbol] for symbol in half) for half in halves))
    return merges


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LoralabError(f"{path} is not UTF-8 (byte {error.start}); fetch it again") from None
    except FileNotFoundError:
        raise LoralabError(f"{path} is missing; run the stage that writes it") from None


def _ranks(merges: list[tuple[bytes, bytes]]) -> dict[bytes, int]:
    """Each token's bytes and id: the single bytes first, then the merges in their order."""
    tokens = [bytes([byte]) for byte in _byte_symbols().values()]
    tokens += [first + second for first, second in merges]
    return {token: rank for rank, token in enumerate(tokens)}


def _check_vocabulary(path: Path, ranks: dict[bytes, int]) -> None:
    """`encoder.json` says nothing that the merges do not; it must say the same."""
    symbols = _byte_symbols()
    try:
        vocabulary = json.loads(_read_text(path))
        end = vocabulary.pop(END_OF_TEXT)
        read = {bytes(symbols[s] for s in token): rank for token, rank in vocabulary.items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise LoralabError(f"{path} is no GPT-2 vocabulary ({error!r}); fetch it again") from None
    if read != ranks or end != len(ranks):
        raise LoralabError(
            f"{path} ({len(read)} tokens) disagrees with {MERGES_FILE} ({len(ranks)} tokens); "
            "fetch both from the same place"
        )
