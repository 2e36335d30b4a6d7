"""Hundreds of damaged files: each ends in one LoralabError, or in a result that is right.

Every damage is drawn from a seed, the number in the test's name. Whatever else a reader raises, a
user would see as an internal error.
"""

import json
import math
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from loralab.config import Config, Lora, build, stage_settings
from loralab.config_file import load_mapping, restore_types, validate
from loralab.data.corpus import generate_messages, tsv_lines
from loralab.data.messages import MessageFormat, read_messages
from loralab.errors import LoralabError
from loralab.fetching.archives import extract_member
from loralab.model.adapters import load_adapter, save_adapter
from loralab.model.checkpoints import load_base, save_base
from loralab.model.classifier import add_adapters, add_head
from loralab.model.gpt2 import GPT2, initialise
from loralab.model.shapes import GPT2Shape, base_shape, linear_layers
from loralab.model.targets import choose
from loralab.model.tokenizer import load_tokenizer, train_bpe, write_tokenizer
from loralab.provenance import fingerprint, hash_files, write_manifest
from loralab.stages.encoding import read_labelled
from loralab.training.resume import ResumeFile
from loralab.verification import NEVER_RAN, examine

SEEDS = range(40)
SHAPE = GPT2Shape(vocabulary=260, context=16, width=8, layers=1, heads=2)
LABELS = ["ham", "spam"]
TEXT = "Now call 0800 £ me, naïve 😀 call!"
CONFIG = str(Path(__file__).parents[1] / "config.yaml")


# Damage


def _flip(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def _cut_out(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randint(1, 40) :]


def _double(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    end = start + draw.randint(1, 40)
    return content[:end] + content[start:]


def _truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _insert(content: bytes, draw: random.Random) -> bytes:
    odd = [b"\0", b"\xff\xfe", b'"', b"\r", b"\n\n", b"\t", b"NaN", b"-1", b"1e999", b"[" * 5000]
    odd += [b"9" * 30, "\u2028".encode(), b"\xef\xbb\xbf", b"../../x", draw.randbytes(8), b"{}"]
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice(odd) + content[place:]


def _swap_lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    draw.shuffle(lines)
    return b"".join(lines)


BYTES = (_flip, _cut_out, _double, _truncate, _insert, _swap_lines)
ODD = (None, "", "x" * 5000, -1, 0, 1.5, math.nan, math.inf, 10**30, True, [], {}, [[]], {"a": 1})


def damaged_bytes(path: Path, draw: random.Random) -> None:
    """Damage a file's bytes."""
    path.write_bytes(draw.choice(BYTES)(path.read_bytes(), draw))


def damaged_head(path: Path, draw: random.Random) -> None:
    """Damage the description at the beginning of a safetensors file, or cut the file."""
    content = path.read_bytes()
    head = 8 + int.from_bytes(content[:8], "little")
    if draw.random() < 0.1:
        path.write_bytes(_truncate(content, draw))
    else:
        path.write_bytes(draw.choice(BYTES[:5])(content[:head], draw) + content[head:])


def damaged_value(value: object, draw: random.Random) -> object:
    """Replace, remove or rename something in nested mappings and lists."""
    if not isinstance(value, dict | list) or not value or draw.random() < 0.1:
        return draw.choice(ODD)
    if isinstance(value, list):
        place = draw.randrange(len(value))
        return [*value[:place], damaged_value(value[place], draw), *value[place + 1 :]]
    key = draw.choice(list(value))
    if draw.random() < 0.15:
        return {k: v for k, v in value.items() if k != key}
    if draw.random() < 0.1:
        return {("odd" if k == key else k): v for k, v in value.items()}
    return value | {key: damaged_value(value[key], draw)}


def damaged_json(path: Path, draw: random.Random) -> None:
    """Damage a JSON file's values, or else its bytes."""
    if draw.random() < 0.3:
        damaged_bytes(path, draw)
    else:
        path.write_text(json.dumps(damaged_value(json.loads(path.read_text()), draw)))


# What is read, and what must hold of it where nothing is said


def messages(folder: Path) -> Callable[[], None]:
    return _messages_in(folder, "tsv", b"".join(tsv_lines(generate_messages(1, 30, 10))))


def messages_csv(folder: Path) -> Callable[[], None]:
    rows = [f'{i % 2 and "ham" or "spam"},"text {i}, ""quoted"""\n' for i in range(20)]
    return _messages_in(folder, "csv", "".join(["label,text\n", *rows]).encode())


def messages_jsonl(folder: Path) -> Callable[[], None]:
    rows = [json.dumps({"label": LABELS[i % 2], "text": f"text {i}"}) for i in range(20)]
    return _messages_in(folder, "jsonl", "\n".join(rows).encode())


def _messages_in(folder: Path, kind: str, content: bytes) -> Callable[[], None]:
    path = folder / "damaged"
    path.write_bytes(content)
    columns = ["label", "text"] if kind == "tsv" else None
    layout = MessageFormat(kind, columns, "label", "text", LABELS, "utf-8", "strict")

    def read() -> None:
        table = read_messages(path, layout)
        assert list(table.columns) == ["id", "label", "text"] and set(table["label"]) == {*LABELS}
        assert all(isinstance(text, str) and text.strip() for text in table["text"])
        assert table["id"].is_monotonic_increasing and table["id"].is_unique

    return read


def split(folder: Path) -> Callable[[], None]:
    path = folder / "damaged"
    rows = [f'{i},{LABELS[i % 2]},"call me, {i}"' for i in range(20)]
    path.write_text("\n".join(["id,label,text", *rows]) + "\n")
    write_tokenizer(train_bpe(["now call me now, call me"] * 9, 260), folder)
    tokenizer = load_tokenizer(folder)

    def read() -> None:
        found = read_labelled(path, tokenizer, LABELS, 16, path.parent)
        assert found is None or set(found.labels) <= {0, 1}
        assert found is None or all(0 < length <= 16 for length in found.texts.lengths)

    return read


def configuration(folder: Path) -> Callable[[], None]:
    pytest.importorskip("jsonschema")  # without it the settings go unchecked
    path = folder / "damaged"
    path.write_text(json.dumps(load_mapping([CONFIG])))

    def read() -> None:
        mapping = restore_types(load_mapping([str(path)]))
        validate(mapping)
        config = build(mapping, Config)
        choose(linear_layers(base_shape(config.base)), config.lora)
        assert not set("/\\\0") & set(config.experiment + config.base.name + config.data.dataset)
        for stage in ("download", "split", "train", "report"):
            assert json.dumps(stage_settings(mapping, stage), allow_nan=False)

    return read


def base_header(folder: Path) -> Callable[[], None]:
    return _base(folder, "model.safetensors")


def base_config(folder: Path) -> Callable[[], None]:
    return _base(folder, "config.json")


def _base(folder: Path, damaged: str) -> Callable[[], None]:
    model = _model()
    save_base(model, folder)
    (folder / damaged).rename(folder / "damaged")

    def read() -> None:
        (folder / "damaged").rename(folder / damaged)
        found = load_base(folder).eval()
        assert torch.equal(found(_ids()), model(_ids()))

    return read


def adapter(folder: Path) -> Callable[[], None]:
    return _adapter(folder, "adapter_model.safetensors")


def adapter_config(folder: Path) -> Callable[[], None]:
    return _adapter(folder, "adapter_config.json")


def _adapter(folder: Path, damaged: str) -> Callable[[], None]:
    trained = _model()
    lora = build(load_mapping([CONFIG])["lora"] | {"rank": 2}, Lora)
    add_adapters(trained, lora, 1)
    add_head(trained, 2, True, 1)
    generator = torch.Generator().manual_seed(2)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(generator=generator)
    save_adapter(trained, LABELS, "base", folder)
    (folder / damaged).rename(folder / "damaged")

    def read() -> None:
        (folder / "damaged").rename(folder / damaged)
        found = _model()
        assert load_adapter(found, folder) == LABELS
        lengths = torch.tensor([8])
        expected = trained.eval().classify(_ids(), lengths)
        assert torch.equal(found.eval().classify(_ids(), lengths), expected)

    return read


def saved_training(folder: Path) -> Callable[[], None]:
    file = ResumeFile(folder, "this one", 0)
    kept = {"trained.0": torch.arange(6.0)}
    file.write(kept, {"history": [{"step": 1}]})
    file.path.rename(folder / "damaged")

    def read() -> None:
        (folder / "damaged").rename(file.path)
        found = file.read()
        assert found is None or torch.equal(found[0]["trained.0"], kept["trained.0"])

    return read


def merges(folder: Path) -> Callable[[], None]:
    return _tokenizer(folder, "vocab.bpe")


def vocabulary(folder: Path) -> Callable[[], None]:
    return _tokenizer(folder, "encoder.json")


def _tokenizer(folder: Path, damaged: str) -> Callable[[], None]:
    write_tokenizer(train_bpe(["now call me now, call me"] * 9, 266), folder)
    sound = load_tokenizer(folder)
    (folder / damaged).rename(folder / "damaged")

    def read() -> None:
        (folder / "damaged").rename(folder / damaged)
        found = load_tokenizer(folder)
        assert found.encode_ordinary(TEXT) == sound.encode_ordinary(TEXT)
        assert found.decode(found.encode_ordinary(TEXT)) == TEXT

    return read


def manifest(folder: Path) -> Callable[[], None]:
    (folder / "train.csv").write_text("written")
    (folder / "read").write_text("read")
    made_of = fingerprint("loralab.stages.split", {"seed": 1, "split": {"balance": "none"}}, 2)
    recorded = {
        "stage": "split",
        "fingerprint": made_of,
        "inputs": hash_files([folder / "read"], folder),
        "outputs": hash_files([folder / "train.csv"], folder),
        "seconds": 1.0,
    }
    write_manifest(folder / "damaged", recorded)

    def read() -> None:
        (folder / "damaged").rename(folder / "manifest.json")
        found = examine({"split": folder}, {"split": made_of})["split"]
        if not found:
            kept = json.loads((folder / "manifest.json").read_bytes())
            assert {key: kept[key] for key in recorded} == recorded
        elif found != [NEVER_RAN]:
            raise LoralabError("; ".join(found))

    return read


def archive_lzma(folder: Path) -> Callable[[], None]:
    return _archive(folder, zipfile.ZIP_LZMA)


def archive_deflated(folder: Path) -> Callable[[], None]:
    return _archive(folder, zipfile.ZIP_DEFLATED)


def _archive(folder: Path, compression: int) -> Callable[[], None]:
    content = b"".join(tsv_lines(generate_messages(1, 30, 10)))
    with zipfile.ZipFile(folder / "damaged", "w", compression) as opened:
        opened.writestr("other", b"other")
        opened.writestr("messages", content)

    def read() -> None:
        extract_member(folder / "damaged", "messages", folder / "target")
        assert (folder / "target").read_bytes() == content

    return read


def _model() -> GPT2:
    model = GPT2(SHAPE)
    initialise(model, torch.Generator().manual_seed(1))
    return model.eval()


def _ids() -> torch.Tensor:
    return torch.arange(8).unsqueeze(0)


def damaged_yaml(path: Path, draw: random.Random) -> None:
    """Damage a configuration's values, or else the bytes of its YAML."""
    value = json.loads(path.read_text())
    if draw.random() < 0.7:
        value = damaged_value(value, draw)
    path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))
    if draw.random() < 0.4:
        damaged_bytes(path, draw)


KINDS = [
    (messages, damaged_bytes),
    (messages_csv, damaged_bytes),
    (messages_jsonl, damaged_bytes),
    (split, damaged_bytes),
    (configuration, damaged_yaml),
    (base_header, damaged_head),
    (base_config, damaged_json),
    (adapter, damaged_bytes),
    (adapter_config, damaged_json),
    (saved_training, damaged_head),
    (merges, damaged_bytes),
    (vocabulary, damaged_json),
    (manifest, damaged_json),
    (archive_lzma, damaged_bytes),
    (archive_deflated, damaged_bytes),
]


def outcome(kind, damage, seed: int, folder: Path) -> str | None:
    """What is said of a file that was damaged; None where it was read, and rightly."""
    read = kind(folder)
    damage(folder / "damaged", random.Random(f"{kind.__name__} {seed}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read()
        except LoralabError as error:
            return str(error)
    return None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "damage"), KINDS, ids=lambda part: part.__name__)
def test_a_damaged_file_is_one_clear_error_or_a_right_result(kind, damage, seed, tmp_path):
    said = outcome(kind, damage, seed, tmp_path)
    assert said is None or (said.strip() and "Traceback" not in said and len(said) < 20_000)


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=lambda part: part.__name__)
def test_what_is_not_damaged_is_read(kind, tmp_path):
    kind(tmp_path)()


@pytest.mark.parametrize(("kind", "damage"), KINDS, ids=lambda part: part.__name__)
def test_some_damage_is_found_out(kind, damage, tmp_path):
    """A reader that says nothing to anything would pass the tests above."""
    folders = [tmp_path / str(seed) for seed in SEEDS[:12]]
    for folder in folders:
        folder.mkdir()
    said = [outcome(kind, damage, int(folder.name), folder) for folder in folders]
    assert any(said) or kind is saved_training  # which starts anew instead


def test_there_are_three_hundred_damaged_files_and_more():
    assert len(KINDS) * len(SEEDS) >= 300
