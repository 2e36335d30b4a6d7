"""The one exception whose message is meant for the person at the keyboard, and what errors say."""

import errno


class LoralabError(Exception):
    """Something that the user can mend: what was found, where, what was expected, what to do."""


class Diverged(LoralabError):
    """A training whose numbers are no longer finite."""


def raise_all(problems: list[str], context: str) -> None:
    """Raise one LoralabError that lists every problem; do nothing where there is none."""
    if problems:
        shown = problems[:20] + ([f"… and {len(problems) - 20} more"] if len(problems) > 20 else [])
        separator = " " if len(shown) == 1 else "\n  - "
        raise LoralabError(context + ":" + separator + separator.join(shown))


def explain(error: OSError) -> str:
    """What the operating system refused, where, and what to do about it."""
    place = f"{error.filename}: " if error.filename else ""
    advice = {
        errno.ENOSPC: "; free some space and run again, nothing is lost",
        errno.EDQUOT: "; free some of your quota and run again, nothing is lost",
        errno.EROFS: "; run in a folder that may be written",
        errno.EACCES: "; change its permissions, or run in a folder of your own",
    }
    return f"{place}{error.strerror or error}{advice.get(error.errno, '')}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or torch means that memory ran out, on any device."""
    words = str(error).lower()
    told = any(part in words for part in ("out of memory", "can't allocate memory", "alloc_failed"))
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and told)
