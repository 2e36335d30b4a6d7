"""The claims ledger, with this run's training set beside the published one."""


def with_training_figures(
    claims: list[dict], training: dict, metrics: dict, base: dict, protocol: str
) -> list[dict]:
    """The ledger of the stage `inject`, its rows on training completed.

    Args:
        claims: rows of claims.json.
        training, metrics: contents of training.json and metrics.json.
        base: `source` and `size` of the base model.
        protocol: the split's protocol.

    One training of a model is one draw of many, so that of its figures only the test accuracy, by
    its interval, can reproduce the published one or not, and only where the run does as the lab.
    """
    data = next(claim for claim in claims if claim["id"] == "data.messages")
    differences = [
        *(["other messages"] if data["verdict"] == "not comparable" else []),
        *([f"split by protocol {protocol}"] if protocol != "lab" else []),
        *(
            []
            if (base["source"], base["size"]) == ("url", "gpt2")
            else ["not GPT-2 124M's weights"]
        ),
    ]
    first, test = training["epoch_metrics"][0], metrics["splits"]["test"]
    measured = {
        "training.interrupted": f"{training['steps']} steps, to the end",
        "training.seconds": round(first["seconds"], 1),
        "training.loss": round(first["running_loss"], 4),
        "training.train_accuracy": round(100 * first["running_accuracy"], 2),
        "training.test_accuracy": round(100 * test["accuracy"], 2),
    }
    completed = []
    for claim in claims:
        if claim["id"] in measured:
            claim = claim | {"measured": measured[claim["id"]]}
        if claim["id"] in measured and claim["id"] != "training.interrupted":
            claim |= _verdict(claim, test, differences)
        completed.append(claim)
    return completed


def _verdict(claim: dict, test: dict, differences: list[str]) -> dict:
    if claim["id"] == "training.seconds":
        return {"explanation": "Another machine; the first epoch of this run."}
    if differences:
        return {"explanation": f"This run differs: {', '.join(differences)}."}
    if claim["id"] != "training.test_accuracy":
        return {"explanation": "One random run beside another; the test accuracy decides."}
    low, high = (100 * bound for bound in test["accuracy_ci95"])
    inside = low <= claim["published"] <= high
    return {
        "verdict": "reproduced" if inside else "corrected",
        "explanation": f"The published figure lies {'inside' if inside else 'outside'} this "
        f"run's 95 % interval, {low:.1f} to {high:.1f}.",
    }
