"""The command `loralab`: use a finished run."""

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

from loralab.config import build
from loralab.data.messages import read_csv_column, write_table
from loralab.errors import LoralabError, raise_all
from loralab.model.devices import choose_device
from loralab.provenance import MANIFEST, check_inputs, read_json
from loralab.stages.inference import load_classifier
from loralab.stages.layout import Layout


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit status."""
    options = _parse(arguments)
    try:
        options.act(options)
    except LoralabError as error:
        sys.exit(f"loralab: error: {error}")
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"loralab: error: {place}{error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # a defect of loralab
        sys.exit(f"loralab: internal error ({type(error).__name__}: {error}); please report it")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loralab", description="Use a finished run.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="label and probability of texts")
    classify.add_argument("--run", type=Path, required=True, help="folder, as results/embedded")
    classify.add_argument("--csv", type=Path, help="classify a column of this file")
    classify.add_argument("--column", default="text", help="that column (default: text)")
    classify.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    classify.add_argument("texts", nargs="*", help="texts; without any, one a line of stdin")
    classify.set_defaults(act=_classify)
    return parser.parse_args(arguments)


def _classify(options: argparse.Namespace) -> None:
    """Write a CSV: each text with its label and the probability of every label."""
    texts = _texts(options)
    classifier = load_classifier(_layout_of(options.run), choose_device(options.device))
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


def _layout_of(run: Path) -> Layout:
    """The layout of a finished run, by the settings in the manifest of its evaluation."""
    run = run.resolve()
    path = run / "evaluate" / MANIFEST
    try:
        recorded = read_json(path)["fingerprint"]["settings"]
    except (KeyError, TypeError):
        recorded = None
    if not isinstance(recorded, dict) or not recorded:
        raise LoralabError(f"{path} holds no settings; run the pipeline again")
    settings = {**recorded, "experiment": run.name, "mirror": None}
    resources = run.parent.parent / "resources"
    layout = Layout(build(settings), results=run.parent, resources=resources)
    model_files = [*layout.base_files, *layout.tokenizer_files, *layout.adapter_files]
    check_inputs(path, [file for file in model_files if file.name != MANIFEST])
    return layout


if __name__ == "__main__":
    main()
