"""The tables of docs/performance.md as Markdown, and where ours is not the best, from the figures only."""

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
    found: Figures = json.loads(FIGURES.read_text("utf-8"))
    return found


def changes() -> str:
    """What was tried, each measured when it was: before and after, and what became of it."""
    tried = json.loads(FIGURES.with_name("changes.json").read_text("utf-8"))
    heads = {"what": "change", "measure": "measured", "before": "before", "after": "after", "fate": ""}
    return table(heads.values(), [tuple(each[key] for key in heads) for each in tried])


def machine(figures: Figures) -> str:
    """Where and when."""
    said = figures["machine"]
    minutes = round(figures["took_s"] / 60)
    made_of = f"{said['processor']}, {said['cores']} cores, {said['system']}"
    runs = f"Python {said['python']}, SQLite {said['sqlite']}, {said['date']}"
    return f"{made_of}; {runs}; a run of {minutes} minutes, held to loopback by {figures['isolation']}."


def versions(figures: Figures) -> str:
    """Each peer, its version, and how many packages come with it; or why it is not in the tables."""
    rows = [
        (name(peer), peer.get("version") or "–", peer.get("distributions") or "–", peer.get("error", ""))
        for key, peer in figures["peers"].items()
        if key != "ours_due"
    ]
    return table(("", "version", "packages with it", "not measured, because"), rows)


def record(figures: Figures) -> str:
    """One record among many."""
    heads = ("µs: p50 / p99 / p99.9", *LOADS.values(), "calls", "not taken")
    rows = [
        (
            name(peer),
            *(_shares(peer["record"].get(load, {})) for load in LOADS),
            f"{sum(each.get('calls', 0) for each in peer['record'].values()):,}",
            f"{sum(each.get('failed', 0) for each in peer['record'].values()):,}",
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
    """What we are held to."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        (
            each["name"],
            f"at {'least' if each['least'] else 'most'} {each['limit']:,}",
            "–" if each["found"] is None else f"{each['found']:,}",
            words[each["kept"]],
        )
        for each in figures["budgets"]
    ]
    return table(("budget", "limit", "found", "kept"), rows)


def beaten(figures: Figures) -> str:
    """Where others are better, as plainly as where we are."""
    lines = [_beaten(figures["peers"], what, path) for what, path in COMPARED.items()]
    return "\n".join(line for line in lines if line) or "Nowhere in this run."


def _beaten(peers: dict[str, Peer], what: str, path: str) -> str:
    """A line, where less is better and another has less; `ours_due` is ours as well."""
    ours = _find(peers["ours"], path)
    found = [(_find(peer, path), peer["name"]) for key, peer in peers.items() if not key.startswith("ours")]
    better = sorted((value, name) for value, name in found if None not in (value, ours) and value < ours)
    listed = ", ".join(f"{name} {figure(value)}" for value, name in better)
    return f"- {what}: **ours {figure(ours)}**; {listed}." if better else ""


def figure(value: float) -> str:
    """Three digits, and never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def name(peer: Peer) -> str:
    """Ours in bold."""
    said = str(peer["name"])
    return f"**{said}**" if said.startswith("ours") else said


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sorted(figures: Figures, path: str) -> list[Peer]:
    """Those that have it, the best first."""
    having = [peer for peer in figures["peers"].values() if _find(peer, path) is not None]
    return sorted(having, key=lambda peer: float(_find(peer, path)))


def _find(found: Any, path: str) -> Any:
    for step in path.split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _shares(load: dict[str, Any]) -> str:
    if "p50_us" not in load:
        return _error(load)
    return " / ".join(figure(load[f"{share}_us"]["median"]) for share in ("p50", "p99", "p999"))


def _middle(said: dict[str, Any], key: str) -> str:
    """The median and, small, the quartiles."""
    if key not in said:
        return _error(said)
    low, median, high = (figure(said[key][name]) for name in ("low", "median", "high"))
    return f"{median} <sub>{low}–{high}</sub>"


def _whole(said: dict[str, Any]) -> str:
    return "over 30 s" if said.get("over_30_s") else _middle(said, "wall_ms")


def _error(said: dict[str, Any]) -> str:
    *before, last = str(said.get("error", "–")).split(": ")
    return before[-1] if before and "/" in last else last  # a path says nothing to a reader


def _fact(said: Any) -> str:
    if isinstance(said, dict):
        return _error(said)
    return f"{said:,}" if isinstance(said, int) else ANSWERS.get(said, str(said))


def _opted_out(said: Any) -> str:
    if not isinstance(said, dict) or "files" not in said:
        return _fact(said)
    files = f"{said['files']} file" + ("s" if said["files"] > 1 else "")
    kept = f", **{said['events_kept']} event** in them" if said["events_kept"] else ", no event in them"
    sent = f"; **{said['events_sent']} sent** after it" if said["events_sent"] else ""
    return (files + kept if said["files"] else "nothing") + sent
