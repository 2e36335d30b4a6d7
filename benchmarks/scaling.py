"""How time and memory grow with the messages: from a thousand to a million generated ones.

For each number of messages the stages `download` and `split` run as the pipeline runs them, then a
process reads the training messages as the stage `train` does, draws an epoch's batches and takes
the first steps of it. Each is a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loralab.allocator import mimalloc_environment
from matplotlib.figure import Figure

from benchmarks.conditions import ROOT

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SPAM = 747 / 5574  # the share of spam in the real corpus
STEPS = 100  # of the epoch


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of messages")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="loralab-scaling-") as folder:
        rows = [row for size in options.sizes for row in measure(size, Path(folder))]
    (options.output / "scaling.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows, options.output / "scaling.png")
    for row in rows:
        print("{messages:>9,} {phase:9s} {seconds:8.2f} s {peak_mib:8.0f} MiB".format(**row))


def measure(size: int, folder: Path) -> list[dict]:
    """One row a phase: seconds, those for a thousand messages, and peak memory."""
    changes = {
        "experiment": f"scaling-{size}",
        "data": {
            "dataset": f"scaling-{size}",
            "embedded": {"messages": size, "spam": round(size * SPAM)},
        },
        "split": {"balance": "none"},
    }
    config = ["--config", str(ROOT / "config.yaml"), "--config", json.dumps(changes)]
    rows = []
    for phase, command in (
        ("download", ["loralab.stages.download", *config]),
        ("split", ["loralab.stages.split", *config]),
        ("tokenizer", ["loralab.stages.tokenizer", *config]),
        ("train", ["benchmarks.partial_epoch", json.dumps(changes), str(STEPS)]),
    ):
        if phase == "tokenizer" and (folder / "resources" / "tokenizer").exists():
            continue
        seconds, peak = _run(command, folder)
        row = {"messages": size, "phase": phase, "seconds": seconds, "peak_mib": peak}
        rows += [row] if phase != "tokenizer" else []
    return rows


def _run(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of `python -m` a command."""
    started = time.perf_counter()
    path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workflow'}"}
    environment = os.environ | path | mimalloc_environment(os.environ)
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}; what it said is above")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def draw(rows: list[dict], output: Path) -> None:
    """Seconds for a thousand messages, and peak memory, of each phase by number of messages."""
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    times, memory = figure.subplots(1, 2)
    for phase in dict.fromkeys(row["phase"] for row in rows):
        own = [row for row in rows if row["phase"] == phase]
        sizes = [row["messages"] for row in own]
        per_thousand = [1000 * row["seconds"] / row["messages"] for row in own]
        times.plot(sizes, per_thousand, marker="o", label=phase)
        memory.plot(sizes, [row["peak_mib"] for row in own], marker="o", label=phase)
    times.set(yscale="log", title="seconds for 1000 messages")
    memory.set(ylim=(0, None), title="peak memory, MiB")
    for axes in (times, memory):
        axes.set(xscale="log", xlabel="messages")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    times.yaxis.set_major_formatter("{x:g}")
    figure.legend(*times.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(output, dpi=150)


if __name__ == "__main__":
    main()
