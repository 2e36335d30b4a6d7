"""The first page of the report: what was asked, what was found, how sure that is."""

from collections.abc import Mapping

from loralab.reporting.inputs import ADAPTER, method_name
from loralab.reporting.numbers import SIGNIFICANT, p_value, percent, points


def summary(found: Mapping, settings: Mapping) -> dict:
    """Sentences: `asked`, `found`, and the list `sure`.

    Args:
        found: what `loralab.reporting.report.read_artifacts` returned.
        settings: those the stage `report` reads, as nested mappings.
    """
    metrics = found["metrics"]
    return {
        "asked": _asked(metrics, settings),
        "found": " ".join([_reached(metrics["splits"]["test"]), *_against_the_best(metrics)]),
        "sure": [
            _chance(metrics["splits"]["test"]),
            _leakage(found["split"]),
            *_elsewhere(found["robustness"]),
            _repetition(found["sweep"]),
        ],
    }


def _asked(metrics: Mapping, settings: Mapping) -> str:
    labels = " from ".join(f"`{label}`" for label in metrics["labels"])
    if len(metrics["labels"]) > 2:
        labels = "the classes " + ", ".join(f"`{label}`" for label in metrics["labels"]) + " apart"
    return (
        f"How well `{settings['base']['name']}` with trained adapters tells {labels}, and whether "
        "that is better than what simpler methods reach on the same messages."
    )


def _reached(test: Mapping) -> str:
    right = round(test["accuracy"] * test["n"])
    return (
        f"{right} of {test['n']} test messages are classified rightly, {percent(test['accuracy'])}."
    )


def _against_the_best(metrics: Mapping) -> list[str]:
    baselines = metrics["baselines"]
    if not baselines:
        return ["No baseline was measured beside it, so that nothing says whether that is much."]
    best = max(baselines, key=lambda name: baselines[name]["accuracy"])
    compared = metrics["comparisons"][best]
    start = (
        f"The best of {len(baselines)} baselines by accuracy is {method_name(best)}, "
        f"{percent(baselines[best]['accuracy'])}"
    )
    tested = f"exact McNemar p {p_value(compared['p_holm'])}, adjusted for all baselines"
    if compared["p_holm"] >= SIGNIFICANT:
        return [f"{start}; these messages do not tell it from the adapter ({tested})."]
    gap = points(abs(compared["difference"]))
    verdict = "better" if compared["difference"] > 0 else "worse"
    return [f"{start}; the adapter is {verdict} by {gap} ({tested})."]


def _chance(test: Mapping) -> str:
    low, high = test["accuracy_ci95"]
    return (
        f"Other messages of the same kind would move the accuracy: its 95 % interval is "
        f"{percent(low)} to {percent(high)} (Wilson, {test['n']} messages)."
    )


def _leakage(split: Mapping) -> str:
    worst = max(split["leakage"], key=lambda name: split["leakage"][name]["n"])
    twins = split["leakage"][worst]
    if twins["n"] == 0:
        return (
            f"No test message has a twin in train by any of the criteria "
            f"({', '.join(split['leakage'])}), so that memory alone does not explain the result."
        )
    return (
        f"{twins['n']} test messages ({percent(twins['share'])}) have a twin in train (`{worst}`), "
        "so that part of the accuracy may be memory; `split.protocol: grouped` keeps them together."
    )


def _elsewhere(robustness: Mapping) -> list[str]:
    if not robustness["stress"]:
        return []
    every = robustness["stress"][-1]
    right = every["systems"][ADAPTER]["right"]
    return [
        f"Texts of other kinds are another matter: of {every['n']} that were written to be hard it "
        f"has {right} right, {percent(right / every['n'])} (see the section Robustness)."
    ]


def _repetition(sweep: Mapping | None) -> str:
    if sweep is None or sweep["seeds"] == 1:
        return (
            "It is one training: what another seed would give is not in these intervals; "
            "`sweep.seeds` repeats it."
        )
    accuracy = next(a for a in sweep["arms"] if a["arm"] == sweep["reference"])["accuracy"]
    return (
        f"Over {accuracy['n']} seeds the mean accuracy is {percent(accuracy['mean'])}, with a "
        f"standard deviation of {points(accuracy['sd'])}; the figures above are of the first."
    )
