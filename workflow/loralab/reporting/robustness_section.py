"""The section Robustness of the report: what its tables show, and its sentences."""

from collections.abc import Mapping, Sequence

from loralab.reporting.inputs import ADAPTER
from loralab.reporting.numbers import SIGNIFICANT, interval, p_value, percent
from loralab.reporting.robustness_names import (
    KIND_NAMES,
    MASK_NAMES,
    counts_by_label,
    system_name,
)


def robustness_section(found: Mapping) -> dict:
    """What the template shows of `robustness.json`.

    Returns the names of both `systems`; `why_not_stressed`; and for `stress` and `probe` each the
    `rows` of its table, none where there is nothing to show, its `findings`, a sentence each, and
    its `limits`, what it cannot tell.
    """
    stress, probe = found["stress"], found["probe"]
    touched = [row for row in probe["masks"] if row["n"]]
    return {
        "systems": [system_name(system) for system in probe["systems"]],
        "why_not_stressed": found["why_not_stressed"],
        "messages": probe["n"],
        "stress": {
            "rows": [_stress_cells(row) for row in stress],
            "findings": _stress_findings(found) if stress else [],
            "limits": _stress_limits(stress) if stress else "",
        },
        "probe": {
            "rows": [_mask_cells(row) for row in touched],
            "findings": _probe_findings(probe, touched) if touched else [],
        },
    }


def fewest_to_tell_apart(significance: float = SIGNIFICANT) -> int:
    """How many texts, all in one system's favour, McNemar's exact test needs to tell two apart."""
    texts = 1
    while 2 * 0.5**texts >= significance:
        texts += 1
    return texts


def _texts(row: Mapping) -> str:
    """How many texts there are, of each label."""
    total = f"{row['n']:,}: " if len(row["by_label"]) > 1 else ""
    return f"{total}{counts_by_label(row)}"


def _subject(system: str) -> str:
    """A system's name at the beginning of a sentence."""
    name = system_name(system)
    return f"{name[:1].upper()}{name[1:]}"


# --- stress set -----------------------------------------------------------------------------------


def _stress_cells(row: Mapping) -> dict:
    return {
        "name": KIND_NAMES[row["kind"]],
        "texts": _texts(row),
        "right": [
            f"{scores['right']} ({interval(scores['accuracy_ci95'])})"
            for scores in row["systems"].values()
        ],
        "p": p_value(row["comparison"]["p_value"]).removeprefix("= "),
    }


def _stress_findings(found: Mapping) -> list[str]:
    *kinds, every = found["stress"]
    return [
        *(_overall_answer(system, every, found["probe"]) for system in every["systems"]),
        _difference(every, kinds),
        _constant_answer(every),
        *_cut_answer(found["max_length"], every, kinds),
    ]


def _overall_answer(system: str, every: Mapping, test: Mapping) -> str:
    """A system on all texts, on each label's, and beside its own test messages."""
    scores, tested = every["systems"][system], test["systems"][system]
    low, high = scores["accuracy_ci95"]
    usual = tested["right"] / test["n"]
    place = "above" if usual > high else "below" if usual < low else "inside"
    found, counts = scores["right_by_label"], every["by_label"]
    by_label = " and ".join(f"{found[label]} of {n} {label}" for label, n in counts.items())
    return (
        f"{_subject(system)} is right on {scores['right']} of {every['n']} texts "
        f"({percent(scores['right'] / every['n'])}; {by_label}). Its accuracy on the test "
        f"messages, {percent(usual)}, lies {place} the 95 % interval of that, "
        f"{interval(scores['accuracy_ci95'])}."
    )


def _difference(every: Mapping, kinds: Sequence[Mapping]) -> str:
    """Which system is better, on all texts and, by Bonferroni's bound, on which kinds."""
    bound = SIGNIFICANT / len(kinds)
    apart = [row for row in kinds if row["comparison"]["p_value"] < bound]
    found = every["comparison"]
    verdict = "do not tell the two apart"
    if found["p_value"] < SIGNIFICANT:
        verdict = f"say that {_better(every)} does better"
    each = "; ".join(f"{KIND_NAMES[row['kind']]} ({_better(row)})" for row in apart)
    return (
        f"All texts together {verdict}: the adapter alone is right on {found['only_first_right']}, "
        f"the baseline alone on {found['only_second_right']} (exact McNemar p "
        f"{p_value(found['p_value'])}). Kind by kind, at p below {SIGNIFICANT:g}/{len(kinds)} as "
        f"there are {len(kinds)} tests, they differ on: {each or 'none'}."
    )


def _better(row: Mapping) -> str:
    found = row["comparison"]
    return (
        "the adapter" if found["only_first_right"] > found["only_second_right"] else "the baseline"
    )


def _constant_answer(every: Mapping) -> str:
    """What calling every text the same would be worth: kinds of one label measure one error."""
    counts = " or ".join(f"{n} (`{label}`)" for label, n in every["by_label"].items())
    return (
        f"Calling all {every['n']} texts the same would be right on {counts}. A kind that "
        "holds one label alone measures one sort of error only, and its share is to be read beside "
        "a kind of the other label."
    )


def _cut_answer(max_length: int, every: Mapping, kinds: Sequence[Mapping]) -> list[str]:
    if not every["cut"]:
        return []
    where = ", ".join(f"{row['cut']} {KIND_NAMES[row['kind']]}" for row in kinds if row["cut"])
    return [
        f"Of {every['cut']} texts ({where}) the adapter reads the first {max_length} tokens alone, "
        "the baseline everything."
    ]


def _stress_limits(stress: Sequence[Mapping]) -> str:
    *kinds, _ = stress
    widest = max(
        scores["accuracy_ci95"][1] - scores["accuracy_ci95"][0]
        for row in kinds
        for scores in row["systems"].values()
    )
    sizes = sorted(row["n"] for row in kinds)
    fewest = fewest_to_tell_apart(SIGNIFICANT / len(kinds))
    return (
        "The texts were written to be hard, not sampled: they show where "
        "a classifier fails, not how often it would, and the intervals hold for texts like these "
        f"alone. A kind has {sizes[0]} to {sizes[-1]} texts, so that an interval is up to "
        f"{100 * widest:.0f} points wide, and {fewest} texts that one system alone has right are "
        "the fewest that tell two systems apart."
    )


# --- artefact probe -------------------------------------------------------------------------------


def _mask_cells(row: Mapping) -> dict:
    return {
        "name": MASK_NAMES[row["mask"]],
        "texts": _texts(row),
        "right": [
            f"{scores['before']['right']} → {scores['after']['right']} "
            f"({interval(scores['after']['accuracy_ci95'])})"
            for scores in row["systems"].values()
        ],
        "p": [p_value(scores["p_value"]).removeprefix("= ") for scores in row["systems"].values()],
    }


def _probe_findings(probe: Mapping, touched: Sequence[Mapping]) -> list[str]:
    tests = len(touched) * len(probe["systems"])
    whole = [_whole_test_answer(system, probe, touched[-1]) for system in probe["systems"]]
    return [*whole, _drops(touched, tests)]


def _whole_test_answer(system: str, probe: Mapping, row: Mapping) -> str:
    """The test accuracy with and without all that was taken out."""
    scores, right, n = row["systems"][system], probe["systems"][system]["right"], probe["n"]
    left = right - scores["turned_wrong"] + scores["turned_right"]
    change = 100 * (left - right) / n
    return (
        f"{_subject(system)}: with all of these taken out, which touches {row['n']} of {n} test "
        f"messages, {scores['turned_wrong']} answers turn wrong and {scores['turned_right']} "
        f"right; the test accuracy goes from {percent(right / n)} to {percent(left / n)} "
        f"({change:+.1f} points, exact McNemar p {p_value(scores['p_value'])})."
    )


def _drops(touched: Sequence[Mapping], tests: int) -> str:
    """Where accuracy fell by more than chance, by Bonferroni's bound."""
    fell = [
        f"{MASK_NAMES[row['mask']]} ({'the adapter' if system == ADAPTER else 'the baseline'})"
        for row in touched
        for system, scores in row["systems"].items()
        if scores["p_value"] < SIGNIFICANT / tests
        and scores["turned_wrong"] > scores["turned_right"]
    ]
    return (
        f"At p below {SIGNIFICANT:g}/{tests}, as there are {tests} tests, accuracy drops on taking "
        f"out: {'; '.join(fell) or 'none'}. It takes {fewest_to_tell_apart(SIGNIFICANT / tests)} "
        "answers that turn wrong, and none that turns right, for that at the least."
    )
