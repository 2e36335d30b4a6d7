"""How report and figures write numbers; where there is none, they write –."""

import math

SIGNIFICANT = 0.05  # p values below it are called a difference


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, with more digits where fewer would round it to 0 or 100 %."""
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    for more in range(digits, 9):
        shown = f"{100 * share:.{more}f}"
        if float(shown) not in (0.0, 100.0):
            break
    return f"{shown} %"


def number(value: float | None) -> str:
    """A number with three decimals."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def interval(bounds: list[float] | None) -> str:
    """The two ends of an interval of shares; – where there is none."""
    if bounds is None:
        return "–"
    return f"{percent(bounds[0])} to {percent(bounds[1])}"


def p_value(value: float) -> str:
    """A p value with its sign of relation, never rounded to zero."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def shown_p(value: float | None) -> str:
    """A p value as it stands in a table; – where there is none."""
    return "–" if value is None else p_value(value).removeprefix("= ")


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign where it is negative."""
    return f"{100 * difference:.1f} points"
