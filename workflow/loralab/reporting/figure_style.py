"""The look all figures share: size, palette, number formats, and how a PNG is written.

The figures themselves are in the modules `*_figures`, by section of the report. Each has a drawing
function, from data to a matplotlib figure, beside its public function, from a run's files to one
PNG, so that what a figure says can be checked without reading pixels.
"""

from collections.abc import Callable, Iterable
from functools import cache, wraps
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import font_manager, style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from PIL import Image

WIDTH_INCHES = 8.3
DOTS_PER_INCH = 130
PALETTE_SIZE = 256

# Okabe and Ito's palette, distinguishable with every common form of colour blindness.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GREY, PALE = "#5F5F5F", "#D8D8D8"
LINE_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
LINE_STYLES = ("-", "--", ":")
DOTTED = (0, (1, 2))

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "white",
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a "$" in a class name is a dollar sign
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a drawing function under the shared style and leave matplotlib as it was."""

    @wraps(draw)
    def draw_in_style(*args, **kwargs) -> Figure:
        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return draw_in_style


def new_figure(height: float) -> Figure:
    """An empty figure of the shared width that lays its axes out without overlaps."""
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, output: Path) -> None:
    """Write the figure as a PNG whose bytes depend on nothing but its content.

    The colours are reduced to a palette, which a drawing does not show and which keeps a report
    with a dozen figures small.
    """
    with style.context(["default", STYLE]):
        figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    palette = pixels.quantize(PALETTE_SIZE, kmeans=1, dither=Image.Dither.NONE)
    palette.save(output, format="PNG", optimize=True)


@styled
def sentence_figure(sentence: str) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    figure = new_figure(1.2)
    figure.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY, wrap=True)
    return figure


def heading(axes: Axes, title: str, *details: str) -> None:
    """A bold title with lines of detail below it, above the axes."""
    axes.set_title(title, pad=6 + 12.5 * len(details))
    if details:
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        lines = axes.annotate("\n".join(details), (0, 1), (0, 5), va="bottom", color=GREY, **place)
        lines.set_in_layout(False)  # the title's distance makes the room already


def class_name(label: object, longest: int = 16) -> str:
    """The label as it can be printed: short, on one line, only glyphs the font has."""
    letters = " ".join(str(label).split())
    if letters.startswith("_"):
        letters = f" {letters}"  # matplotlib leaves a name with a leading underscore out of legends
    text = printable(letters)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def printable(text: str) -> str:
    """The text with a square in the place of whatever the font has no glyph for."""
    known = _known_characters()
    return "".join(letter if ord(letter) in known else "\N{WHITE SQUARE}" for letter in text)


@cache
def _known_characters() -> frozenset[int]:
    path = font_manager.findfont(STYLE["font.family"])
    return frozenset(font_manager.get_font(path).get_charmap())


def line_styles(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """A colour and a dash pattern per name, the same whatever the order of the names."""
    colours = len(LINE_COLOURS)
    return {
        name: {
            "color": LINE_COLOURS[position % colours],
            "linestyle": LINE_STYLES[position // colours % len(LINE_STYLES)],
        }
        for position, name in enumerate(sorted(names))
    }


def percent_axis(axis: Axis) -> None:
    """Label an axis of shares in percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def plain_axis(axis: Axis, unit: float = 1) -> None:
    """Label an axis with plain numbers in the given unit, without an offset or an exponent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:,.10g}"))


def power_of_ten(value: float) -> int:
    """The exponent of the largest power of ten that is not above a positive value; else 0."""
    return int(np.floor(np.log10(value))) if value > 0 else 0


def superscript(number: int) -> str:
    """An integer in small raised digits."""
    return str(number).translate(SUPERSCRIPTS)


def log_ticks(axis: Axis, ticks: Iterable[float], show: Callable[[float], str]) -> None:
    """Put labelled ticks of a logarithmic axis at the given values and nowhere else."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: show(value)))


def round_numbers(low: float, high: float, steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """The given steps times every power of ten, between two positive bounds."""
    powers = range(power_of_ten(low), power_of_ten(high) + 1)
    numbers = (float(f"{step}e{power}") for power in powers for step in steps)
    return [number for number in numbers if low <= number <= high]


def smoothed(values: pd.Series) -> pd.Series:
    """The running median over about a thirtieth of the values, at least five."""
    window = max(5, len(values) // 30)
    return values.rolling(window, center=True, min_periods=1).median()


def legend_below(figure: Figure, title: str | None = None) -> None:
    """One legend under all panels, for the curves of the first, where it cannot cover data."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, title=title)
