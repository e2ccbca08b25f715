"""The tables of docs/performance.md on this package only, generated from the figures."""

from benchmarks.tables import Figures, table


def render(figures: Figures) -> str:
    """All tables in their order."""
    if figures["ours"] is None or "error" in figures["ours"]:
        return f"Not measured in this run: {(figures['ours'] or {}).get('error', 'it was not asked for')}."
    return "\n\n".join(render_table(figures["ours"]) for render_table in (calls, start, growth, sizes))


def calls(figures: Figures) -> str:
    """System calls and instructions of one record, compared with a bare INSERT by hand."""
    rows: list[tuple[object, ...]] = []
    if counted := figures["system_calls"]:
        rows.append(("system calls of a record", _calls(counted["record"]), _calls(counted["record_by_hand"])))
        syncs = (sum(counted["syncs"][who][at] for at in ONE) for who in ("ours", "by_hand"))
        rows.append(("fsyncs from the opening to the exit, one event", *syncs))
    if counted := figures["instructions"]:
        name = f"instructions of a record ({counted['counted_by']})"
        rows.append((name, *(f"{counted[key]:,}" for key in ("record", "insert_by_hand"))))
    return table(("", "**ours**", "by hand"), rows)


def start(figures: Figures) -> str:
    """The cost of a start, of a process and of the commands."""
    rows = [("import and first record, bare Python", *_cost(figures["first_record"]["bare"]))]
    if with_deepchecks := figures["first_record"].get("with_deepchecks"):
        name = f"the same, deepchecks loaded: {with_deepchecks['percent_of_it']} % of its import"
        rows.append((name, *_cost(with_deepchecks)))
    rows += [(f"a process: {NAMES[name]}", *_cost(figures["process"][name])) for name in NAMES]
    rows += [
        (f"the same, and checks whether an upload is due: {NETWORKS.get(name, name)}", *_cost(cost))
        for name, cost in figures["networks"].items()
        if isinstance(cost, dict) and "wall_ms" in cost
    ]
    rows += [(COMMANDS[name], *_cost(figures["commands"][name])) for name in COMMANDS]
    return table(("", "wall ms", "CPU ms"), rows)


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
NAMES = {"python": "Python alone", "by_hand": "one INSERT by hand", "ours": "**ours**"}
NETWORKS = {
    "local": "mode local",
    "not_due": "not due",
    "due_answers": "due, the endpoint answers",
    "due_refuses": "due, the endpoint refuses",
    "due_silent": "due, the endpoint is silent",
}
COMMANDS = {
    "python": "Python alone",
    "help": "`deepchecks telemetry --help`",
    "status": "`deepchecks telemetry status`",
}


def _calls(figures: Figures) -> str:
    listed = ", ".join(f"{number} {name}" for name, number in figures["calls"].items())
    return f"{figures['total']}: {listed}"


def _cost(figures: Figures) -> tuple[str, str]:
    wall, cpu = (f"{figures[key]:,}" if key in figures else "–" for key in ("wall_ms", "cpu_ms"))
    return wall, cpu
