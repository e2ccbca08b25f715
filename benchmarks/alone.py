"""The tables of docs/performance.md that tell of ours alone, from the figures only."""

from typing import Any

from benchmarks.tables import Figures, table


def tell(figures: Figures) -> str:
    """All of them, one after the other."""
    if figures["ours"] is None or "error" in figures["ours"]:
        return f"Not measured in this run: {(figures['ours'] or {}).get('error', 'it was not asked for')}."
    return "\n\n".join(each(figures["ours"]) for each in (calls, start, growth, sizes))


def calls(said: Figures) -> str:
    """System calls and instructions of one record, beside a bare INSERT by hand."""
    rows: list[tuple[object, ...]] = []
    if counted := said["system_calls"]:
        rows.append(("system calls of a record", _calls(counted["record"]), _calls(counted["record_by_hand"])))
        syncs = (sum(counted["syncs"][who][at] for at in ONE) for who in ("ours", "by_hand"))
        rows.append(("fsyncs from the opening to the exit, one event", *syncs))
    if counted := said["instructions"]:
        name = f"instructions of a record ({counted['counted_by']})"
        rows.append((name, *(f"{counted[key]:,}" for key in ("record", "insert_by_hand"))))
    return table(("", "**ours**", "by hand"), rows)


def start(said: Figures) -> str:
    """What a start costs, and the commands."""
    rows = [("import and first record, bare Python", *_cost(said["first_record"]["bare"]))]
    if with_deepchecks := said["first_record"].get("with_deepchecks"):
        name = f"the same, deepchecks loaded: {with_deepchecks['percent_of_it']} % of its import"
        rows.append((name, *_cost(with_deepchecks)))
    rows += [(f"a process: {NAMES[name]}", *_cost(said["process"][name])) for name in NAMES]
    rows += [
        (f"a process that imports, records, looks: {name.replace('_', ' ')}", *_cost(cost))
        for name, cost in said["networks"].items()
        if isinstance(cost, dict) and "wall_ms" in cost
    ]
    rows += [(COMMANDS[name], *_cost(said["commands"][name])) for name in COMMANDS]
    return table(("", "wall ms", "CPU ms"), rows)


def growth(said: Figures) -> str:
    """Folding, sealing and sending, by the number of events."""
    heads = ("", "events", "different", "fold s", "seal a batch s", "flush s", "batches", "folded a second")
    keys = ("events", "kinds", "fold_s", "seal_a_batch_s", "flush_s", "batches", "folded_events_per_s")
    rows = []
    for name in ("few_kinds", "many_kinds"):
        grown = said["growth"][name]
        columns = zip(*(grown[key] for key in keys), strict=True)
        rows += [(name.replace("_", " "), *(f"{value:,}" for value in column)) for column in columns]
    return table(heads, rows)


def sizes(said: Figures) -> str:
    """Bytes on the disk, raw and folded."""
    found = said["sizes"]
    raw = zip(found["raw"]["events"], found["raw"]["database_bytes_per_event"], strict=True)
    by_events = zip(found["folded_by_events"]["events"], found["folded_by_events"]["bytes"], strict=True)
    by_kinds = zip(found["folded_by_kinds"]["kinds"], found["folded_by_kinds"]["bytes"], strict=True)
    rows = [
        *((f"{number:,} events, raw, the WAL cut", f"{each:,} an event") for number, each in raw),
        *((f"{number:,} events of few kinds, folded", f"{each:,}") for number, each in by_events),
        *((f"{number:,} different kinds, folded", f"{each:,}") for number, each in by_kinds),
    ]
    return table(("", "bytes"), rows)


ONE = ("opening", "first", "exit")
NAMES = {"python": "Python alone", "by_hand": "one INSERT by hand", "ours": "**ours**"}
COMMANDS = {
    "python": "Python alone",
    "help": "`deepchecks telemetry --help`",
    "status": "`deepchecks telemetry status`",
}


def _calls(said: dict[str, Any]) -> str:
    listed = ", ".join(f"{number} {name}" for name, number in said["calls"].items())
    return f"{said['total']}: {listed}"


def _cost(said: dict[str, Any]) -> tuple[str, str]:
    wall, cpu = (f"{said[key]:,}" if key in said else "–" for key in ("wall_ms", "cpu_ms"))
    return wall, cpu
