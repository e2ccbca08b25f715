"""The tables of docs/performance.md as Markdown, and where others are better, generated from the figures."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.endpoints import STATES

Figures = dict[str, Any]
Peer = dict[str, Any]
FIGURES = Path(__file__).with_name("figures") / "performance.json"
LOADS = {"alone": "one process", "four": "four", "alone_loaded": "one, busy disk", "four_loaded": "four, busy disk"}
COMPARED = {
    **{
        f"record, {words}, {share}, µs": f"record/{load}/{key}_us/median"
        for load, words in LOADS.items()
        for key, share in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))
    },
    "import and first record, CPU ms": "first/cpu_ms/median",
    "modules that they load": "first/modules",
    **{f"whole process, endpoint {state}, ms": f"whole/{state}/wall_ms/median" for state in STATES},
    "bytes left": "left/bytes",
    "packages that come with it": "distributions",
}
ANSWERS = {"kept": "yes", "sent": "sent", "lost": "**no**"}


def read() -> Figures:
    """The figures of the last full run."""
    figures: Figures = json.loads(FIGURES.read_text("utf-8"))
    return figures


def changes() -> str:
    """Changes that were tried, with the measurements before and after, and the decision."""
    tried = json.loads(FIGURES.with_name("changes.json").read_text("utf-8"))
    heads = {"what": "change", "measure": "measured", "before": "before", "after": "after", "fate": ""}
    return table(heads.values(), [tuple(change[key] for key in heads) for change in tried])


def machine(figures: Figures) -> str:
    """The machine and the date; `again` says which parts were measured again later."""
    about = figures["machine"]
    minutes = round(figures["took_s"] / 60)
    made_of = f"{about['processor']}, {about['cores']} cores, {about['system']}"
    runs = f"Python {about['python']}, SQLite {about['sqlite']}, {about['date']}"
    run = f"{made_of}; {runs}; a run of {minutes} minutes, limited to loopback by {figures['isolation']}."
    return " ".join([run, *about.get("again", [])])


def versions(figures: Figures) -> str:
    """The version of each peer and the number of its packages, or why it was not measured."""
    rows = [
        (name(peer), *(peer.get(key) or "–" for key in ("version", "released", "distributions")), peer.get("error", ""))
        for key, peer in figures["peers"].items()
        if key != "ours_due"
    ]
    return table(("", "version", "released", "packages with it", "not measured, because"), rows)


def record(figures: Figures) -> str:
    """One record among many."""
    heads = ("µs: p50 / p99 / p99.9", *LOADS.values(), "calls", "not taken")
    rows = [
        (
            name(peer),
            *(_shares(peer["record"].get(load, {})) for load in LOADS),
            f"{sum(times.get('calls', 0) for times in peer['record'].values()):,}",
            f"{sum(times.get('failed', 0) for times in peer['record'].values()):,}",
        )
        for peer in _sorted(figures, "record/alone/p50_us/median")
    ]
    return table(heads, rows)


def start(figures: Figures) -> str:
    """Import and first record, and whole processes."""
    heads = (
        "",
        "first record: CPU ms",
        "wall ms",
        "modules",
        *(f"whole process, {state}: ms" for state in STATES),
        "CPU ms",
    )
    rows = [
        (
            name(peer),
            *(_middle(peer.get("first", {}), key) for key in ("cpu_ms", "wall_ms")),
            peer.get("first", {}).get("modules", "–"),
            *(_whole(peer["whole"][state]) for state in STATES),
            _middle(peer["whole"]["answers"], "cpu_ms"),
        )
        for peer in _sorted(figures, "whole/silent/wall_ms/median")
    ]
    return table(heads, rows)


def left(figures: Figures) -> str:
    """What one event leaves."""
    keys = ("threads", "sockets", "processes", "files", "bytes")
    heads = ("", "threads", "sockets opened", "processes started", "files left", "bytes left")
    rows = [
        (name(peer), *(f"{peer['left'][key]:,}" if key in peer["left"] else _error(peer["left"]) for key in keys))
        for peer in figures["peers"].values()
        if "left" in peer
    ]
    return table(heads, rows)


def facts(figures: Figures) -> str:
    """What survives."""
    heads = (
        "",
        "arrives by itself",
        "survives SIGKILL",
        "survives a time offline",
        "of 1,000 by two processes",
        "after opting out",
    )
    rows = [
        (
            name(peer),
            *(_fact(peer["facts"].get(key, "–")) for key in ("arrives", "killed", "offline", "together")),
            _opted_out(peer["facts"].get("opted_out", "–")),
        )
        for peer in figures["peers"].values()
        if "facts" in peer
    ]
    return table(heads, rows)


def budgets(figures: Figures) -> str:
    """The budgets and whether they are kept."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        (
            budget["name"],
            limit(budget),
            "–" if budget["found"] is None else f"{budget['found']:,}",
            words[budget["kept"]],
        )
        for budget in figures["budgets"]
    ]
    return table(("budget", "limit", "found", "kept"), rows)


def limit(budget: Peer) -> str:
    return f"at {'least' if budget['least'] else 'most'} {budget['limit']:,}"


def better_peers(figures: Figures) -> str:
    """The measures in which other peers are better."""
    lines = [_better_peers(figures["peers"], what, path) for what, path in COMPARED.items()]
    return "\n".join(line for line in lines if line) or "Nowhere in this run."


def _better_peers(peers: dict[str, Peer], what: str, path: str) -> str:
    """A line with the peers that have a lower value; `ours_due` is this package too."""
    ours = _find(peers["ours"], path)
    values = [(_find(peer, path), peer["name"]) for key, peer in peers.items() if not key.startswith("ours")]
    better = sorted((value, name) for value, name in values if None not in (value, ours) and value < ours)
    listed = ", ".join(f"{name} {figure(value)}" for value, name in better)
    return f"- {what}: **ours {figure(ours)}**; {listed}." if better else ""


def figure(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def name(peer: Peer) -> str:
    """The name of a peer, in bold for this package."""
    text = str(peer["name"])
    return f"**{text}**" if text.startswith("ours") else text


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sorted(figures: Figures, path: str) -> list[Peer]:
    """The peers with this figure, the best first."""
    having = [peer for peer in figures["peers"].values() if _find(peer, path) is not None]
    return sorted(having, key=lambda peer: float(_find(peer, path)))


def _find(value: Any, path: str) -> Any:
    for step in path.split("/"):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _shares(load: dict[str, Any]) -> str:
    if "p50_us" not in load:
        return _error(load)
    return " / ".join(figure(load[f"{share}_us"]["median"]) for share in ("p50", "p99", "p999"))


def _middle(value: dict[str, Any], key: str) -> str:
    """The median and, in small print, the quartiles."""
    if key not in value:
        return _error(value)
    low, median, high = (figure(value[key][name]) for name in ("low", "median", "high"))
    return f"{median} <sub>{low}–{high}</sub>"


def _whole(value: dict[str, Any]) -> str:
    return "over 30 s" if value.get("over_30_s") else _middle(value, "wall_ms")


def _error(value: dict[str, Any]) -> str:
    *before, last = str(value.get("error", "–")).split(": ")
    return before[-1] if before and "/" in last else last  # without a path


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return _error(value)
    return f"{value:,}" if isinstance(value, int) else ANSWERS.get(value, str(value))


def _opted_out(value: Any) -> str:
    if not isinstance(value, dict) or "files" not in value:
        return _fact(value)
    files = f"{value['files']} file" + ("s" if value["files"] > 1 else "")
    kept = f", **{value['events_kept']} event** in them" if value["events_kept"] else ", no event in them"
    sent = f"; **{value['events_sent']} sent** after it" if value["events_sent"] else ""
    return (files + kept if value["files"] else "nothing") + sent
