"""A measurement as a markdown table."""

GIBIBYTE = 2**30
HEADER = (
    *("", "batches", "s per epoch (min–max)", "tokens per s", "peak GiB"),
    *("of matrix rate", "× the lab", "× best PEFT, same precision"),
)


def markdown(measured: dict) -> str:
    """The machine, the work and the settings in a sentence each, then the table, fastest last."""
    contestants = sorted(
        measured["contestants"].values(), key=lambda told: -told["seconds_per_epoch"]["median"]
    )
    lines = [_row(HEADER), _row("---" if not place else "---:" for place in range(len(HEADER)))]
    lines[1] = lines[1].replace("---:", "---", 1)  # the column of words after the first
    return "\n".join([*_preface(measured), "", *lines, *map(_contestant_row, contestants)])


def _preface(measured: dict) -> list[str]:
    machine, task, settings = measured["machine"], measured["task"], measured["settings"]
    where = machine["gpu"] or (
        f"{machine['processor']}, {settings['threads']} threads "
        f"({', '.join(machine['instructions']) or 'instruction sets unknown'})"
    )
    rates = ", ".join(f"{rate:,.0f} GFLOP/s in {p}" for p, rate in machine["gflops"].items())
    amount = f"{settings['steps']} of {settings['steps_per_epoch']} steps"
    return [
        f"{machine['date']}, {where}, torch {machine['torch']}; matrix products reach {rates}.",
        f"GPT-2 124M with random weights, {task['messages']} messages ({task['source']}, "
        f"{task['tokens']:,} tokens), batches of {settings['batch_size']}, dropout "
        f"{settings['dropout']}; {settings['rounds']} interleaved rounds of {amount} each.",
    ]


def _contestant_row(told: dict) -> str:
    seconds = told["seconds_per_epoch"]
    span = f"{number(seconds['minimum'])}–{number(seconds['maximum'])}"
    return _row(
        (
            told["title"],
            told["batching"],
            f"{number(seconds['median'])} ({span})",
            f"{told['tokens_per_second']:,.0f}",
            f"{told['peak_memory_bytes'] / GIBIBYTE:.2f}",
            f"{100 * told['share_of_matrix_rate']:.3g} %",
            _ratio(told, "lab"),
            _ratio(told, "best_peft_of_same_precision"),
        )
    )


def _ratio(told: dict, reference: str) -> str:
    ratio = told["ratios"].get(reference)
    return number(ratio["median"]) if ratio else "–"


def _row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
