"""The command `loralab`: use a finished run."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from loralab.config import build
from loralab.errors import LoralabError
from loralab.model.devices import choose_device
from loralab.provenance import MANIFEST, read_json
from loralab.stages.inference import load_classifier
from loralab.stages.layout import Layout


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit status."""
    options = _parse(arguments)
    try:
        options.act(options)
    except LoralabError as error:
        sys.exit(f"loralab: error: {error}")
    except OSError as error:
        sys.exit(f"loralab: error: {error.filename}: {error.strerror}")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loralab", description="Use a finished run.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="label and probability of texts")
    classify.add_argument("--run", type=Path, required=True, help="folder, as results/embedded")
    classify.add_argument("--csv", type=Path, help="classify a column of this file")
    classify.add_argument("--column", default="text", help="that column (default: text)")
    classify.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
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
    table.to_csv(sys.stdout, index=False, lineterminator="\n")


def _texts(options: argparse.Namespace) -> list[str]:
    if options.csv:
        table = pd.read_csv(options.csv, keep_default_na=False, dtype=str)
        if options.column not in table:
            columns = ", ".join(table.columns)
            raise LoralabError(f"{options.csv} has no column {options.column!r}; it has {columns}")
        return list(table[options.column])
    texts = options.texts or [line.rstrip("\n") for line in sys.stdin]
    if not texts:
        raise LoralabError("no text to classify; give some, or lines on standard input")
    return texts


def _layout_of(run: Path) -> Layout:
    """The layout of a finished run, by the settings in the manifest of its evaluation."""
    manifest = read_json(run / "evaluation" / MANIFEST)
    settings = {**manifest["fingerprint"]["settings"], "experiment": run.name, "mirror": None}
    resources = run.resolve().parent.parent / "resources"
    return Layout(build(settings), results=run.resolve().parent, resources=resources)


if __name__ == "__main__":
    main()
