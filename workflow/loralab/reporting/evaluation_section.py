"""The tables and sentences of the section Evaluation, beside the lab's own questions."""

from collections.abc import Mapping

from loralab.reporting.inputs import method_name
from loralab.reporting.numbers import number, percent, points

METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE",
}


def moves(test: Mapping) -> list[dict]:
    """Every metric of the test messages with its bootstrap interval and what to know of it."""
    found = test["bootstrap"]
    return [
        {
            "name": name,
            "value": test[metric],
            "interval": _span(found["intervals"][metric]),
            "remark": found["remarks"].get(metric, ""),
        }
        for metric, name in METRICS.items()
    ]


def _span(bounds: list[float] | None) -> str:
    return f"{number(bounds[0])} to {number(bounds[1])}" if bounds else "–"


def points_interval(bounds: list[float] | None) -> str:
    """The two ends of an interval of differences, in percentage points."""
    return f"{100 * bounds[0]:.1f} to {points(bounds[1])}" if bounds else "–"


def comparison_rows(comparisons: Mapping) -> list[dict]:
    """The adapter against each baseline."""
    return [
        {**found, "name": method_name(name), "interval": points_interval(found["ci95"])}
        for name, found in comparisons.items()
    ]


def baseline_rows(baselines: Mapping[str, Mapping]) -> list[dict]:
    """What each baseline is, and what it chose for itself."""
    return [{"name": method_name(name), **_chosen(found)} for name, found in baselines.items()]


def _chosen(baseline: Mapping) -> dict:
    choice = baseline["choice"]
    setting, place = "–", "–"
    if choice:
        tried = len(choice["tried"])
        setting = f"{choice['setting']} {choice['value']:g}, of {tried} tried"
        place = choice["chosen_on"]
    return {"summary": baseline["summary"], "setting": setting, "chosen_on": place}


def evaluation_sentences(metrics: Mapping) -> dict[str, str]:
    """What to see in each figure, and what calibration and the operating point come to."""
    test = metrics["splits"]["test"]
    wrong = test["n"] - round(test["accuracy"] * test["n"])
    return {
        "confusion": f"Rows are true classes: off the diagonal are the {wrong} test messages that "
        "the adapter gets wrong, by the class it mistakes them for.",
        "roc": "The nearer a curve lies to the upper left corner, the better the order in which a "
        "system puts the messages; the right panel is the left end, where false alarms are few. "
        f"The adapter's area is {number(test['roc_auc'])}.",
        "precision_recall": "To the right more of the class is found; the curve falls where that "
        "costs false alarms. The adapter's average precision is "
        f"{number(test['average_precision'])}.",
        "calibration": _calibration_sentence(metrics["calibration"]),
        "operating_point": _operating_sentence(metrics),
    }


def _calibration_sentence(found: Mapping) -> str:
    before, after = found["before"], found["after"]
    start = (
        "Points below the diagonal are messages of which the adapter is surer than it is right; "
        f"their mean distance from it is the ECE, {number(before['ece'])}. "
    )
    if after is None:
        return f"{start}Temperature scaling was not applied: {found['reason']}."
    return (
        f"{start}Temperature scaling ({found['reason']}) gives T = {found['temperature']:.2f}; on "
        f"test it takes the ECE from {number(before['ece'])} to {number(after['ece'])} and the log "
        f"loss from {number(before['log_loss'])} to {number(after['log_loss'])}. No prediction "
        "changes by it, and no other figure of this report uses it."
    )


def _operating_sentence(metrics: Mapping) -> str:
    found = metrics["operating_point"]
    wanted = f"At most {percent(found['wanted'])} of false alarms: "
    if found["threshold"] is None:
        return f"{wanted}{found['reason']}."
    alarms, recall = found["test"]["false_alarms"], found["test"]["recall"]
    return (
        f"{wanted}the threshold {found['threshold']:.3g} was chosen on validation "
        f"({found['reason']}). On test it finds {_share(recall)} of the messages labelled "
        f"`{metrics['positive']}`, with {_share(alarms)} of the others as false alarms."
    )


def _share(counted: Mapping) -> str:
    if counted["share"] is None:
        return "none, there being none,"
    low, high = counted["ci95"]
    return (
        f"{percent(counted['share'])} ({counted['n']} of {counted['of']}; 95 % interval "
        f"{percent(low)} to {percent(high)})"
    )
