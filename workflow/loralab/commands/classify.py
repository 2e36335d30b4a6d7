"""`loralab classify`: label and probability of texts, by a finished run."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from loralab.commands.finished_run import layout_of
from loralab.data.messages import read_csv_column, write_table
from loralab.errors import LoralabError, raise_all
from loralab.model.devices import choose_device
from loralab.stages.inference import load_classifier


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("classify", help="label and probability of texts")
    parser.add_argument("--run", type=Path, required=True, help="folder, as results/embedded")
    parser.add_argument(
        "--adapter", type=Path, help="folder of an adapter by loralab or PEFT, not the run's own"
    )
    parser.add_argument("--csv", type=Path, help="classify a column of this file")
    parser.add_argument("--column", default="text", help="that column (default: text)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("texts", nargs="*", help="texts; without any, one a line of stdin")
    parser.set_defaults(act=classify)


def classify(options: argparse.Namespace) -> None:
    """Write a CSV: each text with its label and the probability of every label."""
    texts = _texts(options)
    classifier = load_classifier(
        layout_of(options.run), choose_device(options.device), options.adapter
    )
    probabilities = classifier.probabilities(texts)
    table = pd.DataFrame({"text": texts})
    table["predicted"] = [classifier.labels[index] for index in probabilities.argmax(axis=1)]
    for place, label in enumerate(classifier.labels):
        table[f"p_{label}"] = probabilities[:, place]
    write_table(table, sys.stdout)
    sys.stdout.flush()


def _texts(options: argparse.Namespace) -> list[str]:
    if options.csv and options.texts:
        raise LoralabError("give texts or --csv, not both")
    if options.csv:
        texts, place = read_csv_column(options.csv, options.column), f"{options.csv} row"
    elif options.texts:
        texts, place = options.texts, "text"
    else:
        texts, place = _lines(sys.stdin.buffer.read()), "standard input line"
    if not texts:
        raise LoralabError("no text to classify; give some, or lines on standard input")
    empty = [f"{place} {n}" for n, text in enumerate(texts, start=1) if not text.strip()]
    raise_all(empty, "empty texts cannot be classified")
    return texts


def _lines(raw: bytes) -> list[str]:
    """The lines of UTF-8 text, however they end; none of no text at all."""
    try:
        lines = raw.decode("utf-8").removesuffix("\n").split("\n") if raw else []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise LoralabError(f"standard input line {line} is not UTF-8; convert it") from None
    return [line.removesuffix("\r") for line in lines]
