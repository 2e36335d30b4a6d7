"""The command `loralab`: use a finished run, and check what goes into one."""

import argparse
import os
import sys

from loralab.commands import classify, export, verify, verify_weights
from loralab.errors import LoralabError, explain


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
        sys.exit(f"loralab: error: {explain(error)}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # a defect of loralab
        sys.exit(f"loralab: internal error ({type(error).__name__}: {error}); please report it")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loralab", description="Use a finished run.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (classify, export, verify, verify_weights):
        command.add_parser(commands)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
