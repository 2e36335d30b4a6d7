"""The one exception whose message is meant for the person at the keyboard."""


class LoralabError(Exception):
    """Something that the user can mend: what was found, where, what was expected, what to do."""


def raise_all(problems: list[str], context: str) -> None:
    """Raise one LoralabError that lists every problem; do nothing where there is none."""
    if problems:
        shown = problems[:20] + ([f"… and {len(problems) - 20} more"] if len(problems) > 20 else [])
        separator = " " if len(shown) == 1 else "\n  - "
        raise LoralabError(context + ":" + separator + separator.join(shown))
