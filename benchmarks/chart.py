"""Draws the chart of docs/performance.md from the figures, as an SVG for light and dark pages."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from benchmarks.budgets import is_durable
from benchmarks.processes import LIMIT_S
from benchmarks.tables import figure

WIDTH, LABEL, VALUE, ROW, TOP, GAP = 860, 245, 90, 22, 46, 40
OVER_MS = LIMIT_S * 1e3
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 15px }
.ours { font-weight: 700 } .note, .tick { fill: #59636e; font-size: 12px } .grid { stroke: #d1d9e0 }
.kept { fill: #1a7f37 } .lost { fill: #9a6700 } .floor { fill: #818b98 } .tail { stroke: #59636e; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .note, .tick { fill: #9198a1 } .grid { stroke: #3d444d }
.kept { fill: #3fb950 } .lost { fill: #d29922 } .floor { fill: #656c76 } .tail { stroke: #9198a1 } }
"""


class Bar(NamedTuple):
    """One bar of a panel, with a line from `value` to `end`."""

    name: str
    value: float
    end: float
    kind: str


class Panel(NamedTuple):
    """A title, a note on colours and lines, a unit, and the bars."""

    title: str
    note: str
    unit: str
    bars: list[Bar]


def draw(figures: dict[str, Any]) -> str:
    """The chart: a record, and a whole process with a silent endpoint."""
    panels = [
        Panel(
            "One record, in one process",
            "p50, and a line to p99. Green ✓: after a SIGKILL it is in a store that processes share. Yellow: not.",
            "µs",
            _bars(
                figures,
                lambda peer: peer["record"]["alone"]["p50_us"]["median"],
                lambda peer: peer["record"]["alone"]["p99_us"]["median"],
            ),
        ),
        Panel(
            "A whole process: import, one event, exit, while the endpoint is silent",
            "The median, and a line to the upper quartile. The same colours.",
            "ms",
            _bars(
                figures,
                lambda peer: peer["whole"]["silent"]["wall_ms"]["median"],
                lambda peer: peer["whole"]["silent"]["wall_ms"]["high"],
            ),
        ),
    ]
    parts, top = [], 10
    for panel in panels:
        parts.append(_draw_panel(panel, top))
        top += TOP + ROW * len(panel.bars) + GAP
    machine = figures["machine"]
    parts.append(
        _text(
            10,
            top,
            f"{machine['processor']}, {machine['cores']} cores, {machine['date']}; scales are logarithmic",
            "note",
        )
    )
    titles = escape("; ".join(panel.title for panel in panels))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 14}" role="img" aria-label="{titles}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _bars(figures: dict[str, Any], find: Callable[[Any], float], end: Callable[[Any], float]) -> list[Bar]:
    bars = []
    for key, peer in figures["peers"].items():
        try:
            bars.append(Bar(peer["name"], find(peer), end(peer), _kind(key, figures["peers"])))
        except KeyError:
            continue  # not measured; the page says why
    return sorted(bars, key=lambda bar: bar.value)


def _kind(key: str, peers: dict[str, Any]) -> str:
    if key == "byhand":
        return "floor"
    return "kept" if is_durable(peers["ours" if key == "ours_due" else key]) else "lost"


def _draw_panel(panel: Panel, top: int) -> str:
    bottom = top + TOP + ROW * len(panel.bars)
    low = math.floor(math.log10(min(bar.value for bar in panel.bars)))
    high = math.log10(max(max(bar.value, bar.end) for bar in panel.bars))

    def to_x(value: float) -> float:
        return LABEL + (WIDTH - LABEL - VALUE) * max(0.0, (math.log10(value) - low) / (high - low))

    parts = [_text(10, top + 8, panel.title, "title"), _text(10, top + 26, panel.note, "note")]
    for power in range(low, math.floor(high) + 1):
        x = to_x(10**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + TOP - 8}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 14, f"{10**power:,} {panel.unit}", "tick", "middle"))
    for number, bar in enumerate(panel.bars):
        parts.append(_draw_bar(bar, top + TOP + ROW * number, to_x, panel.unit))
    return "\n".join(parts)


def _draw_bar(bar: Bar, top: int, to_x: Callable[[float], float], unit: str) -> str:
    end, tail, middle = to_x(bar.value), to_x(max(bar.end, bar.value)), top + ROW / 2 - 4
    label = "over 30 s" if unit == "ms" and bar.value >= OVER_MS else f"{figure(bar.value)} {unit}"
    width, height = max(2.0, end - LABEL), ROW - 7
    weight = "ours" if bar.name.startswith("ours") else ""
    return "\n".join(
        [
            _text(LABEL - 8, top + 12, f"{bar.name} ✓" if bar.kind == "kept" else bar.name, weight, "end"),
            f'<rect class="{bar.kind}" x="{LABEL}" y="{top}" width="{width:.1f}" height="{height}" rx="2"/>',
            f'<line class="tail" x1="{end:.1f}" x2="{tail:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            _text(tail + 6, top + 12, label, weight),
        ]
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
