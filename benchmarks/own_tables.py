"""The tables of docs/performance.md on this package only, generated from the figures."""

from collections.abc import Callable

from benchmarks.ours.sizes import CHECKS_A_DAY
from benchmarks.tables import Figures, table


def render(figures: Figures) -> str:
    """The tables of folding and of sizes."""
    return _tables(figures, growth, sizes)


def render_library(figures: Figures) -> str:
    """What a program that imports deepchecks pays."""
    return _tables(figures, library)


def render_commands(figures: Figures) -> str:
    """The command line beside others."""
    return _tables(figures, commands)


def render_calls(figures: Figures) -> str:
    """System calls, instructions and bytes of a record."""
    return _tables(figures, calls)


def _tables(figures: Figures, *renders: Callable[[Figures], str]) -> str:
    ours = figures["ours"] or {"error": "it was not asked for"}
    return f"Not measured: {ours['error']}." if "error" in ours else "\n\n".join(render(ours) for render in renders)


def calls(figures: Figures) -> str:
    """One record, compared with a bare INSERT by hand; and a day's bytes."""
    rows: list[tuple[object, ...]] = []
    counted = figures["system_calls"]
    if "record" in counted:
        rows.append(("system calls of a record", _calls(counted["record"]), _calls(counted["record_by_hand"])))
        syncs = (sum(counted["syncs"][who][at] for at in ONE) for who in ("ours", "by_hand"))
        rows.append(("fsyncs from the opening to the exit, one event", *syncs))
    counted = figures["instructions"]
    if "record" in counted:
        name = f"instructions of a record ({counted['counted_by']})"
        rows.append((name, *(f"{counted[key]:,}" for key in ("record", "insert_by_hand"))))
    written = figures["sizes"]["written_a_day"]
    rows.append(("bytes written for an event, with folds and checkpoints", written["an_event"], "–"))
    rows.append((f"MB written in a day of {CHECKS_A_DAY:,} checks", f"{written['total'] / 1e6:.1f}", "–"))
    rows.append(("bytes of the spool's files after that day", f"{written['files']:,}", "–"))
    return table(("", "**ours**", "by hand"), rows)


def library(figures: Figures) -> str:
    """A program that imports deepchecks, counts 30 events and exits."""
    measured = figures["library"]
    if "not_measured" in measured:
        return f"Not measured: {measured['not_measured']}."
    heads = (
        *("", "first event: CPU ms", "% of the import", "30 events: CPU ms", "modules"),
        *("whole program: wall ms", "wall ratio", "CPU ratio"),
    )
    keys = ("first_cpu_ms", "percent_of_import", "records_cpu_ms", "modules", "wall_ms", "wall_ratio", "cpu_ratio")
    rows = [(PROGRAMS[name], *(f"{run[key]:,}" for key in keys)) for name, run in measured.items()]
    return table(heads, rows)


def commands(figures: Figures) -> str:
    """Commands, warm and cold."""
    heads = ("", "warm, ms", "/ Python alone", "CPU ms", "cold, ms", "/ Python alone")
    keys = ("wall_ms", "ratio", "cpu_ms", "cold_wall_ms", "cold_ratio")
    rows = [(f"`{name}`", *(f"{run[key]:,}" for key in keys)) for name, run in figures["commands"].items()]
    return table(heads, rows)


def growth(figures: Figures) -> str:
    """Folding, sealing and sending, by the number of events."""
    heads = (
        "",
        "events",
        "different counts",
        "fold, s",
        "seal a batch, s",
        "flush, s",
        "batches",
        "events folded a second",
    )
    keys = ("events", "kinds", "fold_s", "seal_a_batch_s", "flush_s", "batches", "folded_events_per_s")
    rows = []
    for name in ("few_kinds", "many_kinds"):
        grown = figures["growth"][name]
        columns = zip(*(grown[key] for key in keys), strict=True)
        rows += [(name.replace("_", " "), *(f"{value:,}" for value in column)) for column in columns]
    return table(heads, rows)


def sizes(figures: Figures) -> str:
    """Bytes on the disk, raw and folded."""
    sizes = figures["sizes"]
    raw = zip(sizes["raw"]["events"], sizes["raw"]["database_bytes_per_event"], strict=True)
    by_events = zip(sizes["folded_by_events"]["events"], sizes["folded_by_events"]["bytes"], strict=True)
    by_kinds = zip(sizes["folded_by_kinds"]["kinds"], sizes["folded_by_kinds"]["bytes"], strict=True)
    rows = [
        *((f"{number:,} events, raw, after the WAL was truncated", f"{size:,} an event") for number, size in raw),
        *((f"{number:,} events of few kinds, folded", f"{size:,}") for number, size in by_events),
        *((f"{number:,} different kinds, folded", f"{size:,}") for number, size in by_kinds),
    ]
    return table(("", "bytes"), rows)


ONE = ("opening", "first", "exit")
PROGRAMS = {
    "without": "without this package",
    "by_hand": "an INSERT by hand for each event",
    "ours": "**ours**, no endpoint",
    "not_due": "**ours**, no upload is due",
    "due_answers": "**ours**, an upload is due, the endpoint answers",
    "due_refuses": "**ours**, an upload is due, the endpoint refuses",
    "due_silent": "**ours**, an upload is due, the endpoint is silent",
}


def _calls(figures: Figures) -> str:
    listed = ", ".join(f"{number} {name}" for name, number in figures["calls"].items())
    return f"{figures['total']}: {listed}"
