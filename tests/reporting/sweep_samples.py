"""A small sweep as the stage `sweep` writes it."""


def accuracy(mean: float, seeds: int) -> dict:
    spread = {"sd": 0.01, "ci95": [mean - 0.05, mean + 0.05]} if seeds > 1 else {}
    values = [mean + 0.01 * (place - (seeds - 1) / 2) for place in range(seeds)]
    none = {"sd": None, "ci95": None}
    found = {"n": seeds, "mean": mean, "values": values, **none, **spread, "remark": None}
    return found | {"ci95_messages": [mean - 0.04, mean + 0.04]}


def against(difference: float, ci95: list[float], p_holm: float) -> dict:
    return {"difference": difference, "ci95": ci95, "p_value": p_holm / 3, "p_holm": p_holm}


def arm(name: str, mean: float, compared: dict | None, seeds: int, parameters: int | None) -> dict:
    measured = {"f1": mean, "roc_auc": 0.9, "log_loss": 0.3, "ece": 0.05}
    return {
        "arm": name,
        "messages": 298,
        "accuracy": accuracy(mean, seeds),
        **measured,
        "against": compared,
        "trainable_parameters": parameters,
    }


def sweep_summary(seeds: int = 3, curves: bool = True) -> dict:
    points = [
        {"value": 2, "arm": "lora.rank=2"},
        {"value": 8, "arm": "reference"},
        {"value": 64, "arm": "lora.rank=64"},
    ]
    return {
        "reference": "reference",
        "seeds": seeds,
        "baselines": ["head_only"],
        "curves": {"lora.rank": points} if curves else {},
        "arms": [
            arm("reference", 0.92, None, seeds, 49154),
            arm("head_only", 0.74, against(-0.18, [-0.24, -0.12], 0.0003), seeds, None),
            arm("lora.rank=2", 0.91, against(-0.01, [-0.03, 0.012], 0.8), seeds, 12546),
            arm("lora.rank=64", 0.95, against(0.03, [-0.01, 0.07], 0.04), seeds, 393474),
            arm("split.seed=7", 0.9, None, seeds, 49154),
        ],
    }
