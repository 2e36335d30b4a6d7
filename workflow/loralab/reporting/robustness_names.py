"""What report and figure call the kinds of stress texts, the masks and the two systems."""

from collections.abc import Mapping

from loralab.reporting.inputs import ADAPTER, THIS_RUN, method_name

KIND_NAMES = {
    "obfuscated": "obfuscated spam",
    "prize_and_phishing": "prizes and phishing",
    "polite_ham": "polite ham about money",
    "other_languages": "other languages",
    "nearly_empty": "nearly empty",
    "very_long": "very long",
    "all": "all",
}
MASK_NAMES = {
    "pound_sign": "pound signs",
    "placeholder": "placeholders",
    "long_number": "long numbers",
    "all": "all of these",
}


def system_name(system: str) -> str:
    """What a table or a figure calls the adapter or a baseline."""
    return THIS_RUN if system == ADAPTER else method_name(system)


def counts_by_label(row: Mapping, most: int = 3) -> str:
    """How many texts of each label a row has; beyond so many labels, of the most frequent ones."""
    counts = sorted(row["by_label"].items(), key=lambda count: -count[1])
    shown = ", ".join(f"{n:,} {label}" for label, n in counts[:most])
    return f"{shown} …" if len(counts) > most else shown
