"""`loralab export`: a finished run for use with transformers alone."""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from loralab.commands.finished_run import layout_of
from loralab.data.messages import read_table
from loralab.errors import LoralabError
from loralab.model.export import LogitChange, export_classifier, logit_change, make_exportable
from loralab.model.lora import unmerge
from loralab.provenance import MANIFEST, check_inputs, write_json
from loralab.stages.encoding import PADDING, PRECISIONS
from loralab.stages.inference import Classifier, load_classifier
from loralab.stages.layout import Layout
from loralab.training.prediction import predict_logits


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("export", help="a folder that transformers opens")
    parser.add_argument("--run", type=Path, required=True, help="folder, as results/embedded")
    parser.add_argument("--to", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--merged", action="store_true", required=True, help="adapters merged into the weights"
    )
    parser.add_argument(
        "--precision", default="float32", choices=tuple(PRECISIONS), help="of the weights written"
    )
    parser.set_defaults(act=export)


def export(options: argparse.Namespace) -> None:
    """Merge, say how far the logits of the test messages moved, and write the folder."""
    target = options.to
    if target.is_symlink() or (target.exists() and (target.is_file() or any(target.iterdir()))):
        raise LoralabError(f"{target} is there already; name a folder that is not")
    with _workshop(target) as folder:
        layout = layout_of(options.run)
        classifier = load_classifier(layout, torch.device("cpu"))
        if classifier.config.head.position == PADDING:
            raise LoralabError(
                f"{options.run} has head.position padding, and transformers reads the last token; "
                "train it with head.position last_token"
            )
        change = _merge(classifier, _test_texts(layout), PRECISIONS[options.precision])
        export_classifier(classifier.model, classifier.labels, folder)
        _write_tokenizer(layout, classifier, folder)
    print(
        f"{target}: merged in {options.precision}. Of {change.texts} test messages the largest "
        f"change of a logit is {change.largest:.1e}; {change.flipped_labels} labels differ."
    )


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A folder to write in that becomes `target`, or nothing, when the block ends."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    except OSError as error:
        raise LoralabError(f"{target} cannot be made: {error.strerror}") from None
    try:
        yield workshop
        workshop.chmod(0o755)
        os.replace(workshop, target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _test_texts(layout: Layout) -> list[str]:
    path = layout.split_files["test"]
    check_inputs(layout.folder("evaluate") / MANIFEST, [path])
    return list(read_table(path)["text"])


def _merge(classifier: Classifier, texts: list[str], dtype: torch.dtype) -> LogitChange:
    """Leave the network that is exported; how far its logits are from the run's."""
    model, encoded = classifier.model, classifier.encode(texts)
    unmerge(model)
    before = predict_logits(model, encoded, classifier.config.evaluation.batch_size)
    make_exportable(model, dtype)
    after = predict_logits(model, encoded, classifier.config.evaluation.batch_size)
    return logit_change(before, after)


def _write_tokenizer(layout: Layout, classifier: Classifier, folder: Path) -> None:
    """GPT-2's tokenizer files under the names that transformers looks for."""
    shutil.copyfile(layout.tokenizer / "encoder.json", folder / "vocab.json")
    shutil.copyfile(layout.tokenizer / "vocab.bpe", folder / "merges.txt")
    settings = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": classifier.config.training.max_length,
        "padding_side": "right",
        "pad_token": "<|endoftext|>",
    }
    write_json(folder / "tokenizer_config.json", settings)
