"""The tokenizer: any text there and back, damage refused, nothing fetched."""

import json
import os
from pathlib import Path

import pytest
import tiktoken.load
import tiktoken.registry
from loralab.errors import LoralabError
from loralab.model.tokenizer import count_cut, encode, load_tokenizer, train_bpe, write_tokenizer

SIZE = 300
WORDS = [
    "free",
    "prize",
    "call",
    "now",
    "win",
    "cash",
    "urgent",
    "mobile",
    "claim",
    "the",
    "you",
    "your",
    "there",
    "then",
    "them",
]
TEXTS = [f"{first} {second} {n}!" for n, first in enumerate(WORDS) for second in WORDS]
NASTY = [
    "a",
    " ",
    "\x00\x01\x7f\x80\xa0\xad",
    "tabs\tand\r\nnew\n\n\nlines   ",
    "naïve café — “quotes” … £5 €10",
    "e\u0301 vs é, \u202eright to left\u202c, zero\u200bwidth, bom\ufeff",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧‍👦🏽 🇨🇭",
    "日本語 한국어 العربية हिन्दी",
    "ĠĊ Ā",
    "".join(chr(n) for n in range(0x250)),
    "\U0010ffff\ufffd",
]


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch):
    def refuse(*_):
        raise AssertionError("tiktoken was about to read a file of its own")

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    monkeypatch.setattr(tiktoken.registry, "get_encoding", refuse)
    monkeypatch.setattr(tiktoken, "get_encoding", refuse)


@pytest.fixture(scope="module")
def merges() -> list[tuple[str, str]]:
    return train_bpe(TEXTS, SIZE)


@pytest.fixture
def folder(merges, tmp_path: Path) -> Path:
    write_tokenizer(merges, tmp_path)
    return tmp_path


def _change_vocabulary(folder: Path, change) -> None:
    path = folder / "encoder.json"
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    change(vocabulary)
    path.write_text(json.dumps(vocabulary), encoding="utf-8")


def test_training_yields_the_size_that_is_asked_for_each_time_the_same(merges, folder):
    assert load_tokenizer(folder).n_vocab == SIZE
    assert len(merges) == SIZE - 257
    assert train_bpe(TEXTS, SIZE) == merges


@pytest.mark.parametrize("text", NASTY)
def test_any_text_survives_encoding_and_decoding(folder, text):
    tokenizer = load_tokenizer(folder)
    ids = encode(tokenizer, text, 10_000)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < SIZE - 1 for token in ids)


def test_learnt_words_take_fewer_tokens_than_bytes(folder):
    assert len(encode(load_tokenizer(folder), "you call the", 99)) < len("you call the") / 2


def test_a_text_is_cut_at_the_longest_length(folder):
    tokenizer = load_tokenizer(folder)
    whole = encode(tokenizer, "xyz" * 50, 1000)
    assert encode(tokenizer, "xyz" * 50, 7) == whole[:7]


def test_end_of_text_inside_a_text_is_one_token_with_the_last_id(folder):
    ids = encode(load_tokenizer(folder), "a<|endoftext|>b", 99)
    assert len(ids) == 3
    assert ids[1] == SIZE - 1


def test_an_empty_text_is_refused(folder):
    with pytest.raises(LoralabError, match="empty text"):
        encode(load_tokenizer(folder), "", 99)


def test_too_few_texts_for_the_size_are_refused():
    with pytest.raises(LoralabError, match=r"yield \d+ tokens, tokenizer\.embedded\.size is 5000"):
        train_bpe(["ab ab ab"], 5000)


@pytest.mark.parametrize(
    "change",
    [
        lambda vocabulary: vocabulary.update({"!": 1, '"': 0}),
        lambda vocabulary: vocabulary.popitem() and vocabulary.update({"<|endoftext|>": 9}),
        lambda vocabulary: vocabulary.pop("z"),
        lambda vocabulary: vocabulary.update({"zzzz": SIZE}),
    ],
    ids=["two ids swapped", "another end of text", "a token fewer", "a token more"],
)
def test_files_that_disagree_are_refused(folder, change):
    _change_vocabulary(folder, change)
    with pytest.raises(LoralabError, match=r"encoder\.json .* disagrees with vocab\.bpe"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"3", b"{}", b'{"<|endoftext|>": 0, "a b": 1}', b"\xff\xfe", b"[" * 9999],
    ids=["empty", "cut", "a number", "no end of text", "no symbols", "not UTF-8", "too deep"],
)
def test_a_damaged_vocabulary_is_an_error_that_names_it(folder, content):
    (folder / "encoder.json").write_bytes(content)
    with pytest.raises(LoralabError, match=r"encoder\.json"):
        load_tokenizer(folder)


@pytest.mark.parametrize("line", ["a", "a b c", "a  b", "a 日"])
def test_a_line_that_is_no_merge_is_named_by_its_number(folder, line):
    path = folder / "vocab.bpe"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[2] = line
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(LoralabError, match=r"vocab\.bpe line 3 is no merge"):
        load_tokenizer(folder)


def test_merges_that_end_early_are_refused(folder):
    path = folder / "vocab.bpe"
    path.write_text("\n".join(path.read_text(encoding="utf-8").split("\n")[:-5]), encoding="utf-8")
    with pytest.raises(LoralabError, match="disagrees"):
        load_tokenizer(folder)


MIRROR = os.environ.get("LORALAB_MIRROR", "")


@pytest.mark.skipif(
    not MIRROR or not (Path(MIRROR) / "vocab.bpe").is_file(),
    reason="LORALAB_MIRROR names no folder with GPT-2's vocab.bpe and encoder.json",
)
def test_the_published_files_give_the_tokens_of_gpt2():
    tokenizer = load_tokenizer(Path(MIRROR))
    assert tokenizer.n_vocab == 50257
    assert encode(tokenizer, "Hello world", 99) == [15496, 995]
    assert encode(tokenizer, "<|endoftext|>", 99) == [50256]
    for text in NASTY:
        assert tokenizer.decode(encode(tokenizer, text, 10_000)) == text


def test_texts_longer_than_the_model_sees_are_counted(folder):
    trained = load_tokenizer(folder)
    lengths = [len(encode(trained, text, 10_000)) for text in NASTY]
    limit = sorted(lengths)[len(lengths) // 2]
    assert count_cut(trained, NASTY, limit) == sum(length > limit for length in lengths) > 0
    assert count_cut(trained, NASTY, max(lengths)) == 0
