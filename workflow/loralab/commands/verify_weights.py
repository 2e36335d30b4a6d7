"""`loralab verify-weights`: hold a weights file to a table of tensor hashes, one by one."""

import argparse
from pathlib import Path

from loralab.errors import raise_all
from loralab.model import checkpoints
from loralab.model.tensor_hashes import read_tensor_table, table_differences, tensor_table

# OpenAI's GPT-2 124M as published, under the names and in the layout of the Hugging Face hub.
PUBLISHED = Path(checkpoints.__file__).with_name("gpt2_124M_tensors.csv")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "verify-weights", help="compare a weights file with published hashes, tensor by tensor"
    )
    parser.add_argument("file", type=Path, help="a model.safetensors")
    parser.add_argument(
        "--manifest",
        type=Path,
        default=PUBLISHED,
        help="CSV as a base model's tensors.csv (default: OpenAI's GPT-2 124M)",
    )
    parser.set_defaults(act=verify_weights)


def verify_weights(options: argparse.Namespace) -> None:
    """Say that every tensor agrees. Raises LoralabError that names each one that does not."""
    expected = read_tensor_table(options.manifest)
    found = tensor_table(checkpoints.read_learnt_tensors(options.file))
    raise_all(table_differences(found, expected), f"{options.file} is not what {_name(options)}")
    print(f"{options.file}: all {len(expected)} tensors are what {_name(options)}")


def _name(options: argparse.Namespace) -> str:
    if options.manifest == PUBLISHED:
        return "OpenAI published as GPT-2 124M"
    return f"{options.manifest} lists"
