"""The command: build the contestants, visit them in turns, report."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import torch
from loralab.errors import LoralabError, explain
from loralab.provenance import write_json

from benchmarks.conditions import BATCH_SIZE, ROOT, Conditions
from benchmarks.contestants import CONTESTANTS
from benchmarks.figure import speed_figure
from benchmarks.machine import MatrixRates, describe_machine
from benchmarks.race import Race
from benchmarks.results import METHOD, summarise
from benchmarks.table import markdown
from benchmarks.task import Task, load_task

log = logging.getLogger("benchmarks")

STEPS_ON_CPU = 4
SLOW_BF16 = 0.1  # of float32's rate: below it, bf16 is emulated and an epoch would take hours


def main() -> None:
    """Measure, or print the table of an earlier measurement; errors are one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parse()
    try:
        if options.table:
            print(markdown(_read(options.table)))
            return
        left_out = _measure_and_write(options)
    except LoralabError as error:
        sys.exit(f"benchmarks: {error}")
    except OSError as error:
        sys.exit(f"benchmarks: {explain(error)}")
    except KeyboardInterrupt:
        sys.exit("benchmarks: interrupted, nothing written")
    sys.exit(1 if left_out else 0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--rounds", type=whole_number, default=5, help="visits that count, after one to warm up")
    add("--steps", type=whole_number, help="steps a visit; default 4, on CUDA a whole epoch")
    add("--only", nargs="+", choices=tuple(CONTESTANTS), metavar="NAME", help=_names())
    add("--dropout", type=probability, default=0.1)
    add("--threads", type=whole_number, default=2, help="CPU threads of torch")
    add("--output", type=Path, default=ROOT / "results" / "bench", metavar="FOLDER")
    add("--table", type=Path, metavar="FILE", help="print an earlier speed.json as markdown")
    return parser.parse_args()


def _read(path: Path) -> dict:
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        return {key: measured[key] for key in ("machine", "task", "settings", "contestants")}
    except (ValueError, KeyError, TypeError):
        raise LoralabError(f"{path} is no speed.json of a measurement") from None


def _names() -> str:
    return f"contestants to measure; all are: {', '.join(CONTESTANTS)}"


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def probability(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1)")
    return value


def _measure_and_write(options: argparse.Namespace) -> dict[str, str]:
    """Write `speed.json` and `speed.png`; who was left out, and why."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise LoralabError(f"PyTorch {torch.__version__} finds no CUDA here; use --device cpu")
    options.output.mkdir(parents=True, exist_ok=True)
    measured = _measure(options)
    write_json(options.output / "speed.json", measured)
    speed_figure(measured, options.output / "speed.png")
    print(markdown(measured))
    log.info("wrote %s and speed.png beside it", options.output / "speed.json")
    return measured["left_out"]


def _measure(options: argparse.Namespace) -> dict:
    """The content of `speed.json`."""
    conditions = Conditions(options.device, options.dropout, options.threads)
    machine, task = describe_machine(conditions), load_task()
    log.info("%(messages)d messages, %(tokens)d tokens: %(source)s", task.description)
    settings, race = _settings(options, task), Race(task.train, conditions)
    with MatrixRates(conditions) as rates:
        rates.measure()
        names = _chosen(options, rates.best)
        race.run(names, options.rounds, settings["steps"], after_round=rates.measure)
    if not race.clocked:
        raise LoralabError("no contestant could be measured; the lines above say why")
    machine["load_average_at_end"] = round(os.getloadavg()[0], 2)
    machine["gflops"] = {name: round(rate, 1) for name, rate in rates.best.items()}
    return {
        "machine": machine,
        "task": task.description,
        "settings": settings,
        "method": METHOD,
        "contestants": summarise(race.clocked, rates.best, settings["tokens_per_epoch"]),
        "left_out": race.left_out,
    }


def _settings(options: argparse.Namespace, task: Task) -> dict:
    """What the measurement was asked for, and the size of an epoch, whose last batch is full."""
    messages = len(task.train)
    steps = messages // BATCH_SIZE
    wanted = options.steps or (steps if options.device == "cuda" else STEPS_ON_CPU)
    return {
        "device": options.device,
        "threads": options.threads,
        "dropout": options.dropout,
        "batch_size": BATCH_SIZE,
        "rounds": options.rounds,
        "steps": min(wanted, steps),
        "steps_per_epoch": steps,
        "tokens_per_epoch": round(task.description["tokens"] * steps * BATCH_SIZE / messages),
    }


def _chosen(options: argparse.Namespace, rates: dict[str, float]) -> list[str]:
    """The names asked for, else all that this machine is fit for."""
    if options.only:
        return list(dict.fromkeys(options.only))
    fit = rates["bf16"] > SLOW_BF16 * rates["float32"]
    if not fit:
        log.info(
            "bf16 is emulated here and left out; name its contestants with --only all the same"
        )
    return [name for name, one in CONTESTANTS.items() if fit or one.precision != "bf16"]
