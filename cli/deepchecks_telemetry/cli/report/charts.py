"""Draws lines over periods with leather, as SVG without scripts; its colours are those of the page."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.html import Html, tag

if TYPE_CHECKING:
    from types import ModuleType

WIDTH, HEIGHT = 360, 220  # about a phone's width, because text is scaled with the chart
MAX_TICKS = 3
FONT_SIZE, CHAR_WIDTH = 13, 7
COLOURS = tuple(f"var(--line-{number})" for number in range(1, 7))
Lines = Mapping[str, Sequence[int | None]]


def line_chart(periods: Sequence[date], lines: Lines, *, label: str, top: int = 0) -> Html:
    """A line for each name with a number for each period, or with gaps; `label` says what a reader cannot see.

    The vertical axis ends at `top`, by default above the largest number. At least two periods are needed.
    """
    leather = _leather()
    chart = leather.Chart()
    for (name, numbers), colour in zip(lines.items(), COLOURS, strict=False):
        chart.add_line(list(zip(periods, numbers, strict=True)), name=name, stroke_color=colour)
    largest = max((number or 0 for numbers in lines.values() for number in numbers), default=0)
    marks = marks_up_to(top or largest)
    _set_axes(leather, chart, periods, marks)
    drawing = Html(ET.tostring(chart.to_svg_group(WIDTH, HEIGHT), encoding="unicode"))
    return tag("svg", drawing, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def marks_up_to(largest: int) -> list[int]:
    """From 0 in steps of 1, 2 or 5 times a power of ten, to the first mark that is not below the largest number."""
    step, factors = 1, (2, 5, 10)
    while step * MAX_TICKS < largest:
        power = 10 ** (len(str(step)) - 1)
        step = next(power * factor for factor in factors if power * factor > step)
    return list(range(0, max(largest, 1) + step, step))


def _set_axes(leather: "ModuleType", chart: Any, periods: Sequence[date], marks: Sequence[int]) -> None:
    class Exact(leather.Scale):  # type: ignore[misc, name-defined]
        """A scale that ends at its data; those of leather end at their marks."""

        def __init__(self, least: Any, largest: Any) -> None:
            self._least, self._largest = least, largest

        def contains(self, value: Any) -> bool:
            return bool(self._least <= value <= self._largest)

        def project(self, value: Any, start: float, end: float) -> float:
            return round(start + (end - start) * float((value - self._least) / (self._largest - self._least)), 1)

    chart.set_x_scale(Exact(periods[0], periods[-1]))
    chart.set_y_scale(Exact(marks[0], marks[-1]))
    step = -(-len(periods) // MAX_TICKS)
    chart.add_x_axis(ticks=list(periods[::step]), tick_formatter=lambda day, *_: f"{day:%Y-%m-%d}")
    chart.add_y_axis(ticks=list(marks), tick_formatter=lambda number, *_: f"{number:,}")


def _leather() -> "ModuleType":
    """The library, with colours and fonts of the page."""
    try:
        import leather
        from leather import theme
    except ImportError as error:
        raise CliError("--html needs leather. Run: pip install 'deepchecks-telemetry[collector]'") from error
    theme.background_color, theme.margin = "none", 0.08
    theme.tick_color, theme.zero_color = "var(--line)", "var(--soft)"
    theme.label_color = theme.legend_color = "var(--soft)"
    for name in ("legend", "tick"):
        setattr(theme, f"{name}_font_family", "inherit")
        setattr(theme, f"{name}_font_size", FONT_SIZE)
        setattr(theme, f"{name}_font_char_width", CHAR_WIDTH)
    module: ModuleType = leather
    return module
