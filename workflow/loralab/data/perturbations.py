"""Artefacts of a collection: what tells a message's label without being part of its meaning.

Of the SMS Spam Collection, `£` is nearly always spam, since its ham comes from where one pays in
dollars; `&lt;#&gt;`, which the collectors of the ham put in place of numbers, is always ham; and a
telephone number is nearly always spam. A classifier that leans on them is right for reasons that
other messages do not have: taking them out shows how much it does.
"""

import re
from collections.abc import Iterable

ARTEFACTS = {
    "pound_sign": re.compile(r"£|&(?:pound|#163|#xa3);", re.IGNORECASE),
    # What stands for a number, an address … that the collectors took out; with the space before it.
    "placeholder": re.compile(r" ?(?:&lt;|<)(?:#|DECIMAL|EMAIL|TIME|URL)(?:&gt;|>)"),
    # A telephone number is seven digits or more with a separator or two between any of them (two
    # as in "(0)77 …"); five digits on end are one too, a short code or a long reference.
    "long_number": re.compile(r" ?\+?\(?(?:[0-9](?:[ ()-]{0,2}[0-9]){6,}|[0-9]{5,})"),
}
# What is taken out of every message, by name: each artefact by itself, then all of them.
MASKS = {name: (pattern,) for name, pattern in ARTEFACTS.items()}
MASKS["all"] = tuple(ARTEFACTS.values())


def without(text: str, patterns: Iterable[re.Pattern]) -> str:
    """The text with every match taken out, one pattern after the other.

    White space at its ends goes too where anything was found; otherwise it is the text itself.
    """
    left = text
    for pattern in patterns:
        left = pattern.sub("", left)
    return text if left == text else left.strip()


def masked(texts: Iterable[str], patterns: Iterable[re.Pattern]) -> dict[int, str]:
    """The texts that have one of the artefacts, without it, by their places in `texts`.

    A text of which nothing would be left to classify has no place here.
    """
    patterns = tuple(patterns)
    left = ((place, text, without(text, patterns)) for place, text in enumerate(texts))
    return {place: new for place, text, new in left if new != text and new}
