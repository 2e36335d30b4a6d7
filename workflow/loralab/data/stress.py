"""The stress set: texts of kinds that training did not prepare a model for, labelled by hand.

What a model makes of them says where it fails, not how often: they are written, not sampled.
"""

from pathlib import Path

import pandas as pd
import yaml

STRESS_FILE = Path(__file__).with_name("stress_texts.yaml")
STRESS_LABELS = ("ham", "spam")


def read_stress_set() -> pd.DataFrame:
    """Every text, in the order of the file: columns `kind,id,label,text`.

    `kind` is one of `obfuscated`, `prize_and_phishing`, `polite_ham`, `other_languages`,
    `nearly_empty` and `very_long`; `label` one of `STRESS_LABELS`; `id` names kind, label, place.
    """
    kinds = yaml.safe_load(STRESS_FILE.read_text(encoding="utf-8"))
    rows = [
        (kind, f"{kind}-{label}-{place:02d}", label, text)
        for kind, labels in kinds.items()
        for label, texts in labels.items()
        for place, text in enumerate(texts, start=1)
    ]
    return pd.DataFrame(rows, columns=["kind", "id", "label", "text"])


def why_not_stressed(labels: list[str]) -> str | None:
    """Why the stress set does not apply to a classifier of these labels; None where it does.

    Labels are matched by name, in any order.
    """
    if sorted(labels) == sorted(STRESS_LABELS):
        return None
    return (
        f"its texts are labelled {' or '.join(STRESS_LABELS)}, and the labels of these messages "
        f"are {', '.join(labels)}"
    )
