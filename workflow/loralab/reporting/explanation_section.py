"""The section Explanation of the report: what its table shows, and its sentences."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import pandas as pd

from loralab.reporting.inputs import split_names
from loralab.reporting.numbers import number, percent

TOP = 3  # tokens of each message that the table shows


def explanation_section(found: Mapping, changes: pd.DataFrame) -> dict:
    """What the template shows of `attributions.json` and of `adapter_change.csv`.

    Returns `tokens`, which has the `rows` of its table (none where no message was explained), how
    many of them are `wrong` and `right`, the label `explained` (None where it is that predicted),
    its `baseline` and its `findings`, a sentence each; and the findings on the `adapter`.
    """
    messages = found["messages"]
    wrong = sum(message["label"] != message["predicted"] for message in messages)
    return {
        "tokens": {
            "rows": [_cells(message) for message in messages],
            "wrong": wrong,
            "right": len(messages) - wrong,
            "explained": found["positive"],
            "baseline": found["baseline"],
            "findings": _token_findings(found) if messages else [],
        },
        "adapter": _adapter_findings(changes),
    }


# --- tokens ---------------------------------------------------------------------------------------


def _cells(message: Mapping) -> dict:
    ordered = sorted(message["tokens"], key=lambda token: -abs(token["attribution"]))
    return {
        **{name: message[name] for name in ("id", "label", "predicted", "explained")},
        **{name: f"{message[name]:+.2f}" for name in ("output", "baseline_output", "difference")},
        "gap": f"{message['gap']:.1e}",
        "agreement": _signed(message["rank_correlation"]),
        "top": [
            {
                "token": token["token"].strip() or token["token"],
                "attribution": f"{token['attribution']:+.2f}",
                "occlusion": f"{token['occlusion']:+.2f}",
            }
            for token in ordered[:TOP]
        ],
    }


def _token_findings(found: Mapping) -> list[str]:
    messages = found["messages"]
    findings = [_completeness(found), _baseline(found), _agreement(messages)]
    if cut := sum(message["cut"] for message in messages):
        findings.append(
            f"{cut} of the {len(messages)} messages are cut: what the model does not read has no "
            "attribution."
        )
    return findings


def _completeness(found: Mapping) -> str:
    """Whether the attributions add up, by the largest gap and by the tolerance."""
    messages = found["messages"]
    worst = max(messages, key=lambda message: message["gap"])
    allowed = (
        f"{percent(found['tolerance'])} of the difference, or {found['floor']:g} where that is more"
    )
    largest = (
        f"the largest gap between the sum of a message's attributions and its difference of "
        f"log-odds is {worst['gap']:.1e}, of a difference of {worst['difference']:+.2f} (message "
        f"{worst['id']})"
    )
    if left := [str(message["id"]) for message in messages if not message["complete"]]:
        steps = max(message["steps"] for message in messages)
        return (
            f"The attributions do not add up within {allowed}, for the messages "
            f"{', '.join(left)}, even at {steps} points of the path, and are not to be relied on "
            f"there: {largest}."
        )
    return f"The attributions add up within {allowed}: {largest}."


def _baseline(found: Mapping) -> str:
    """What the model makes of the baseline: attributions are relative to it."""
    low, high = _ends([_share(message["baseline_output"]) for message in found["messages"]])
    name = f"`{found['positive']}`" if found["positive"] else "the label that is explained"
    return (
        f"The baseline is no neutral message: to the model it is {name} with a probability of "
        f"{_span(low, high, percent)}. A token that speaks neither way gets what separates it from "
        "that, not zero."
    )


def _agreement(messages: Sequence[Mapping]) -> str:
    """How far occlusion orders the tokens alike."""
    found = [m["rank_correlation"] for m in messages if m["rank_correlation"] is not None]
    if not found:
        return "No message has tokens enough to compare the attributions with occlusion."
    low, high = _ends(found)
    return (
        "Occlusion, which takes out one token at a time, orders the tokens of a message as the "
        f"attributions do with a rank correlation of {_signed(median(found))} in the median "
        f"({_span(low, high, _signed)}). Where they part, tokens act together: what one loses "
        "depends on which others are there."
    )


def _share(log_odds: float) -> float:
    """The probability with these log-odds."""
    return (1 + math.tanh(log_odds / 2)) / 2


# --- adapter --------------------------------------------------------------------------------------


def _adapter_findings(changes: pd.DataFrame) -> list[str]:
    moved = changes[changes["norm"] > 0]
    if moved.empty:
        return ["No weight changed: the adapter computes what the base model does."]
    findings = [_sizes(moved), _effective_ranks(moved)]
    if still := len(changes) - len(moved):
        findings.append(f"{still} of the {len(changes)} adapted layers did not change at all.")
    return findings


def _sizes(moved: pd.DataFrame) -> str:
    """How large the changes are, and where they are largest, layers of a kind taken together."""
    sizes = moved["relative_norm"].dropna()
    if sizes.empty:
        return "The weights were zero before, so that no change has a relative size."
    by_kind = sizes.groupby(split_names(moved["module"])["rest"]).median()
    largest, smallest = moved.loc[sizes.idxmax()], moved.loc[sizes.idxmin()]
    most = f"; by kind of layer the median is largest in `{by_kind.idxmax()}` "
    most += f"({percent(by_kind.max())}) and smallest in `{by_kind.idxmin()}` "
    most += f"({percent(by_kind.min())})"
    return (
        f"‖ΔW‖ is {percent(sizes.median())} of ‖W‖ in the median of the {len(sizes)} layers that "
        f"changed, {percent(sizes.min())} (`{smallest['module']}`) to {percent(sizes.max())} "
        f"(`{largest['module']}`){most if len(by_kind) > 1 else ''}."
    )


def _effective_ranks(moved: pd.DataFrame) -> str:
    """How many directions the changes have, beside the rank that they could have."""
    found = moved["effective_rank"]
    ends = _span(found.min(), found.max(), "{:.1f}".format)
    words = f"The effective rank of ΔW is {found.median():.1f} in the median ({ends})"
    ranks = _span(moved["rank"].min(), moved["rank"].max(), "{:d}".format)
    if set(moved["variant"]) == {"dora"}:
        return (
            f"{words}, of adapters of rank {ranks}. DoRA also changes the lengths of the rows, so "
            "that its ΔW is not bound to that rank."
        )
    used = (found / moved["rank"]).median()
    return (
        f"{words}, where the adapter's rank allows {ranks}: in the median {percent(used, 0)} of "
        "it. Far below, few directions carry the change, and a smaller rank may do; near it, all "
        "are used alike. Only a run with that rank can tell."
    )


# --- numbers --------------------------------------------------------------------------------------


def _signed(value: float | None) -> str:
    return number(value) if value is None else f"{value:+.2f}"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _span(low: float, high: float, show) -> str:
    """Two ends as they are shown, or one where they are shown alike."""
    first, last = show(low), show(high)
    return first if first == last else f"{first} to {last}"
