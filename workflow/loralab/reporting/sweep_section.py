"""What may, and what may not, be concluded from a sweep: its section of the report, in words."""

from collections.abc import Mapping

from loralab.reporting.inputs import method_name
from loralab.reporting.numbers import SIGNIFICANT, p_value, points


def sweep_section(sweep: Mapping) -> dict:
    """The rows of the table and the sentences below it.

    Args:
        sweep: what the stage `sweep` wrote in `sweep.json`.

    Returns `rows`, the arms each with its `name`; `conclusions` and `limits`, sentences.
    """
    rows = [{**arm, "name": shown_name(arm["arm"], sweep)} for arm in sweep["arms"]]
    return {
        "rows": rows,
        "seeds": sweep["seeds"],
        "conclusions": _conclusions(rows),
        "limits": _limits(rows, sweep["seeds"]),
        "curves": bool(sweep["curves"]),
    }


def shown_name(arm: str, sweep: Mapping) -> str:
    """What a reader knows an arm by."""
    return method_name(arm) if arm in sweep["baselines"] else arm


def _conclusions(rows: list[dict]) -> list[str]:
    compared = [row for row in rows if row["against"]]
    told_apart = [row for row in compared if _is_told_apart(row["against"])]
    by_luck = [row for row in compared if row not in told_apart and _is_significant(row["against"])]
    alike = [row for row in compared if row not in told_apart and row not in by_luck]
    return [
        *(_difference(row) for row in told_apart),
        *(_perhaps_luck(row) for row in by_luck),
        *([_no_difference(alike)] if alike else []),
    ]


def _is_significant(against: Mapping) -> bool:
    return against["p_holm"] < SIGNIFICANT


def _is_told_apart(against: Mapping) -> bool:
    low, high = against["ci95"] or (0, 0)
    return _is_significant(against) and (low > 0 or high < 0)


def _difference(row: dict) -> str:
    against = row["against"]
    verdict = "better" if against["difference"] > 0 else "worse"
    return (
        f"`{row['name']}` is {verdict} than the reference by {points(abs(against['difference']))} "
        f"({_numbers(against)})."
    )


def _perhaps_luck(row: dict) -> str:
    return (
        f"`{row['name']}` differs from the reference by {points(row['against']['difference'])} as "
        f"both were trained here, but another seed may undo it ({_numbers(row['against'])})."
    )


def _numbers(against: Mapping) -> str:
    interval = against["ci95"]
    span = f"95 % interval {points(interval[0])} to {points(interval[1])}; " if interval else ""
    return f"{span}paired permutation test, p adjusted for all arms {p_value(against['p_holm'])}"


def _no_difference(rows: list[dict]) -> str:
    names = ", ".join(f"`{row['name']}`" for row in rows)
    ends = [abs(end) for row in rows for end in row["against"]["ci95"] or []]
    reach = f": differences of up to {points(max(ends))} lie in their intervals" if ends else ""
    return (
        f"Not told from the reference by these messages and seeds: {names}. That does not show "
        f"that they are equal{reach}."
    )


def _limits(rows: list[dict], seeds: int) -> list[str]:
    others = [f"`{r['name']}`" for r in rows[1:] if not r["against"]]
    limits = [
        "Every arm is held against the reference alone: that one arm lies above another in the "
        "table says nothing, because that difference has not been tested.",
        "All arms were trained with the reference's other settings: one that needs, say, another "
        "learning rate is shown below its best.",
    ]
    if seeds == 1:
        limits.append(
            "Every arm was trained once, so that what another seed would give is in none of these "
            "numbers; `sweep.seeds` sets how many."
        )
    elif seeds < 5:
        limits.append(
            f"{seeds} seeds hardly tell how much seeds vary: the intervals are rather too narrow."
        )
    if others:
        limits.append(
            f"{', '.join(others)} were measured on other test messages, and are not compared."
        )
    return limits
