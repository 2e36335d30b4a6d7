"""Small artifacts to draw, and reading back what was drawn."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

KINDS = ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def messages_table() -> pd.DataFrame:
    texts = ["a" * n for n in (10, 20, 30)] + ["b" * n for n in (100, 140)]
    labels = ["ham"] * 3 + ["spam"] * 2
    return pd.DataFrame({"id": range(5), "label": labels, "text": texts})


def lengths_table() -> pd.DataFrame:
    table = messages_table()
    return pd.DataFrame({"label": table["label"], "length": table["text"].str.len()})


def split_summary() -> dict:
    return {
        "messages": 1200,
        "classes": {"ham": 1100, "spam": 100},
        "balanced": 200,
        "splits": {
            "train": {"n": 140, "ham": 70, "spam": 70},
            "test": {"n": 60, "ham": 30, "spam": 30},
        },
        "protocol": "grouped",
        "seed": 123,
    }


def pretraining_log(steps: int = 40) -> pd.DataFrame:
    step = np.arange(1, steps + 1)
    loss = 3 + 4 * np.exp(-step / 10)
    held_out = np.where(step % 10 == 0, loss + 0.1, np.nan)
    return pd.DataFrame(
        {"step": step, "tokens": step * 50_000, "loss": loss, "held_out_loss": held_out}
    )


def plan_table(blocks: int = 4) -> pd.DataFrame:
    rows = [(f"h.{b}.{kind}", 100 * (b + 1)) for b in range(blocks) for kind in KINDS]
    return pd.DataFrame(rows, columns=["module", "parameters"])


def parameter_summary() -> dict:
    before = {"trainable": 163_037_184, "total": 163_037_184}
    return {
        "head_parameters": 1538,
        "language_model": {"trainable": 1_327_104, "total": 164_364_288, "before": before},
        "classifier": {"trainable": 1_328_642, "total": 125_768_450, "before": before},
    }


def gradient_table(blocks: int = 2) -> pd.DataFrame:
    rows = [("wte.weight", False, False, np.nan), ("head.weight", True, True, 12.0)]
    for block in range(blocks):
        rows.append((f"h.{block}.ln_1.weight", False, False, np.nan))
        for kind in KINDS:
            name = f"h.{block}.{kind}"
            rows.append((f"{name}.weight", False, False, np.nan))
            rows.append((f"{name}.bias", False, False, np.nan))
            rows.append((f"{name}.lora_A", True, True, 0.0))
            rows.append((f"{name}.lora_B", True, True, 0.5 + block))
    table = pd.DataFrame(rows, columns=["parameter", "trainable", "gradient", "norm"])
    table.insert(0, "model", "classifier")
    return table


def with_tensor(table: pd.DataFrame, parameter: str, **changes: object) -> pd.DataFrame:
    assert (table["parameter"] == parameter).sum() == 1
    table = table.astype({"trainable": object, "gradient": object})
    table.loc[table["parameter"] == parameter, list(changes)] = list(changes.values())
    return table


def history_table(epochs: int, steps: int) -> pd.DataFrame:
    step = np.arange(1, epochs * steps + 1)
    epoch = (step - 1) // steps + 1
    return pd.DataFrame(
        {"epoch": epoch, "step": step, "loss": 1 / step, "learning_rate": 5e-5 / step}
    )


def epoch_metrics(epochs: int, validation: bool) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "train_loss": 0.5 / epoch,
            "train_accuracy": 1 - 0.1 / epoch,
            "validation_loss": 0.6 / epoch if validation else None,
            "validation_accuracy": 1 - 0.2 / epoch if validation else None,
        }
        for epoch in range(1, epochs + 1)
    ]


def confidence_bin(
    tenth: int, n: int, confidence: float, accuracy: float, bounds: list[float]
) -> dict:
    return {
        "tenth": tenth,
        "n": n,
        "confidence": confidence,
        "accuracy": accuracy,
        "accuracy_ci95": bounds,
    }


def scores(confusion: list[list[int]], labels: list[str]) -> dict:
    counts = np.array(confusion)
    accuracy = counts.trace() / counts.sum() if counts.sum() else None
    return {
        "n": int(counts.sum()),
        "accuracy": accuracy,
        "accuracy_ci95": None if accuracy is None else [accuracy - 0.04, min(accuracy + 0.04, 1)],
        "roc_auc": None,
        "ece": 0.0875,
        "reliability": [
            confidence_bin(6, 2, 0.65, 0.5, [0.09, 0.91]),
            confidence_bin(9, 58, 0.975, 1.0, [0.94, 1.0]),
        ],
        "confusion": {
            true: dict(zip(labels, row, strict=True))
            for true, row in zip(labels, confusion, strict=True)
        },
    }


def metrics_summary() -> dict:
    labels = ["ham", "spam"]
    return {
        "labels": labels,
        "positive": "spam",
        "splits": {
            "train": scores([[70, 0], [1, 69]], labels),
            "test": scores([[29, 1], [3, 27]], labels),
        },
        "baselines": {
            "majority": scores([[30, 0], [30, 0]], labels),
            "tfidf_characters": scores([[28, 2], [4, 26]], labels),
            "head_only": scores([[20, 10], [5, 25]], labels),
        },
    }


def predictions_table(probabilities: dict[str, list[float]], labels: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({f"p_{label}": values for label, values in probabilities.items()})
    names = list(probabilities)
    predicted = [names[place] for place in table.to_numpy().argmax(axis=1)]
    front = {"split": "test", "id": range(len(labels)), "label": labels, "predicted": predicted}
    return pd.concat([pd.DataFrame(front), table], axis="columns")


def spam_predictions(spam: list[float], labels: list[str]) -> pd.DataFrame:
    return predictions_table({"ham": [1 - p for p in spam], "spam": spam}, labels)


def good_predictions() -> pd.DataFrame:
    return spam_predictions([0.1, 0.2, 0.6, 0.55, 0.9, 0.95], ["ham"] * 3 + ["spam"] * 3)


def baselines_of(predictions: pd.DataFrame) -> pd.DataFrame:
    renamed = predictions.rename(columns={"split": "baseline"})
    names = ("majority", "tfidf_characters", "head_only")
    return pd.concat([renamed.assign(baseline=name) for name in names])


def as_csv(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def as_json(content: object, path: Path) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def texts(figure: Figure) -> str:
    """Everything the figure says, drawn once so that tick labels and warnings appear."""
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def axis_labels(figure: Figure) -> set[str]:
    return {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())}


def robustness_summary(stress: bool = True, touched: int = 40) -> dict:
    """Two kinds of stress text and one mask that touches messages, beside one that touches none."""
    masks = [mask_row("placeholder", {"ham": 0}), mask_row("all", {"spam": touched})]
    kinds = [
        stress_row("polite_ham", {"ham": 36}, 26, 27, 3, 4),
        stress_row("very_long", {"ham": 6, "spam": 6}, 3, 12, 0, 9, cut=12),
        stress_row("all", {"ham": 42, "spam": 6}, 29, 39, 3, 13, cut=12),
    ]
    return {
        "labels": ["ham", "spam"],
        "max_length": 256,
        "why_not_stressed": None if stress else "its texts are labelled otherwise",
        "stress": kinds if stress else [],
        "probe": {
            "n": 100,
            "by_label": {"ham": 50, "spam": 50},
            "systems": {
                "adapter": right_answers(90, {"ham": 50, "spam": 50}),
                "tfidf_characters": right_answers(95, {"ham": 50, "spam": 50}),
            },
            "masks": masks,
        },
    }


def stress_row(
    kind: str,
    counts: dict[str, int],
    own: int,
    baseline: int,
    only_own: int,
    only_baseline: int,
    cut: int = 0,
) -> dict:
    disagreed = {"only_first_right": only_own, "only_second_right": only_baseline}
    return {
        "kind": kind,
        "n": sum(counts.values()),
        "by_label": counts,
        "systems": {
            "adapter": right_answers(own, counts),
            "tfidf_characters": right_answers(baseline, counts),
        },
        "comparison": disagreed | {"p_value": 0.004 if only_baseline == 9 else 0.06},
        "cut": cut,
    }


def right_answers(right: int, counts: dict[str, int]) -> dict:
    """As many right answers, the first labels' before the others'."""
    left, by_label, n = right, {}, max(1, sum(counts.values()))
    for label, most in counts.items():
        by_label[label] = min(left, most)
        left -= by_label[label]
    bounds = [max(0.0, right / n - 0.1), min(1.0, right / n + 0.1)]
    return {"right": right, "accuracy_ci95": bounds, "right_by_label": by_label}


def mask_row(mask: str, counts: dict[str, int]) -> dict:
    """Every message that it touches was right; of the adapter's a quarter turn wrong."""
    n = sum(counts.values())
    by_label = {label: count for label, count in counts.items() if count}
    systems = {
        system: {
            "before": right_answers(n, by_label),
            "after": right_answers(n - wrong, by_label),
            "turned_wrong": wrong,
            "turned_right": 0,
            "p_value": 0.0005 if wrong else 1.0,
        }
        for system, wrong in (("adapter", n // 4), ("tfidf_characters", 0))
    }
    return {"mask": mask, "n": n, "by_label": by_label, "systems": systems}


def attribution_summary(positive: str | None = "spam", long: int = 0) -> dict:
    """A wrong and a right answer; with `long`, the second has so many tokens more."""
    tokens = [contribution(" win", 2.5, 1.5), contribution(" £", -0.5, 0.25)]
    more = [contribution(" now", 0.125, 0.0625) for _ in range(long)]
    return {
        "labels": ["ham", "spam"] if positive else ["a", "b", "spam"],
        "positive": positive,
        "each": 3,
        "method": "integrated gradients",
        "baseline": "<|endoftext|>",
        "tolerance": 0.001,
        "floor": 0.0001,
        "messages": [
            explained_message(7, "ham", tokens, 3.0, 1.0, 2e-6),
            explained_message(9, "spam", [*tokens, *more], 3.0, 1.0, 4e-5),
        ],
    }


def contribution(token: str, attribution: float, occlusion: float) -> dict:
    return {"token": token, "attribution": attribution, "occlusion": occlusion}


def explained_message(
    number: int, label: str, tokens: list[dict], output: float, baseline: float, gap: float
) -> dict:
    """A message that is called spam."""
    return {
        "id": number,
        "label": label,
        "predicted": "spam",
        "confidence": 0.953,
        "explained": "spam",
        "cut": False,
        "output": output,
        "baseline_output": baseline,
        "difference": output - baseline,
        "gap": gap,
        "complete": True,
        "steps": 32,
        "rank_correlation": 0.25,
        "tokens": tokens,
    }


def change_table(blocks: int = 4, variant: str = "lora") -> pd.DataFrame:
    """Changes that grow with the block and fall with the kind of layer."""
    rows = [
        (f"h.{block}.{kind}", variant, 8, block + 1.0, (block + 1) / (place + 2), 7.0 - place)
        for block in range(blocks)
        for place, kind in enumerate(KINDS)
    ]
    columns = ["module", "variant", "rank", "norm", "relative_norm", "effective_rank"]
    return pd.DataFrame(rows, columns=columns)
