"""The plan of the adapters as `inject/plan.csv`."""

import dataclasses
from pathlib import Path

import pandas as pd

from loralab.data.messages import read_rows, write_table
from loralab.model.lora import PlannedAdapter

COLUMNS = ["module", "in_features", "out_features", "rank", "alpha", "parameters"]


def write_plan(plan: list[PlannedAdapter], path: Path) -> None:
    """Write a row for each planned adapter, with the parameters that it trains."""
    rows = [{**dataclasses.asdict(entry), "parameters": entry.parameters} for entry in plan]
    table = pd.DataFrame(rows)[COLUMNS]
    # Whole numbers as such, whatever the others are.
    table["alpha"] = [f"{alpha:.15g}" for alpha in table["alpha"]]
    write_table(table, path)


def read_plan(path: Path, variant: str) -> list[PlannedAdapter]:
    """Read a plan whose adapters are all of one variant."""
    table = read_rows(path, COLUMNS)
    entries = table[COLUMNS[:5]].itertuples(index=False, name=None)
    return [PlannedAdapter(*entry, variant) for entry in entries]
