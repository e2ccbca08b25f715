"""The first lines of docs/performance.md, and its tables of the tail and of Go's telemetry."""

from benchmarks.tables import Figures, Peer, figure, limit, table


def summary(figures: Figures) -> str:
    """What a user wants to know: the missed budgets first, then the costs."""
    missed = [budget for budget in figures["budgets"] if budget["kept"] is False]
    lines = [f"- **Missed**: {budget['name']}: {budget['found']:,}, not {limit(budget)}." for budget in missed]
    lines += [line for line in (_recording(figures), _program(figures), _disk(figures)) if line]
    return "\n".join(lines)


def _recording(figures: Figures) -> str:
    alone = (figures["record"] or {}).get("alone")
    if not alone:
        return ""
    ours, ratio = alone["ours"], alone["ratio"]
    return (
        f"- Counting an event takes {figure(ours['p50_us'])} µs; the mean is {ratio['mean_us']} times that of a bare "
        f"INSERT. The longest of {ours['records']:,} took {figure(ours['max_ms'])} ms; "
        f"{ours['records_over_20_ms']:,} took more than 20 ms."
    )


def _program(figures: Figures) -> str:
    library = (figures["ours"] or {}).get("library", {})
    if "ours" not in library:
        return ""
    ours = library["ours"]
    due = max(run["wall_ratio"] for name, run in library.items() if name.startswith("due"))
    return (
        f"- A program that imports deepchecks pays {figure(ours['first_cpu_ms'])} ms of CPU once, "
        f"{ours['percent_of_import']} % of that import. The whole program takes {ours['wall_ratio']} times as long as "
        f"without this package, and {due} times on the one start a day that uploads, whatever the network."
    )


def _disk(figures: Figures) -> str:
    written = (figures["ours"] or {}).get("sizes", {}).get("written_a_day")
    if not written:
        return ""
    return (
        f"- An event writes {figure(written['an_event'])} bytes, and a day of 10,000 checks "
        f"{written['total'] / 1e6:.1f} MB; the spool has {figure(written['files'] / 1e6)} MB then."
    )


def tail(figures: Figures) -> str:
    """The mean and the tail of a record, beside a bare INSERT that keeps its WAL bounded."""
    measured = figures["record"] or {"error": "it was not asked for"}
    if "error" in measured:
        return f"Not measured: {measured['error']}."
    heads = ("", "records", "mean, µs", "p50, µs", "p99, µs", "p99.9, µs", "longest, ms", "over 20 ms")
    keys = ("records", "mean_us", "p50_us", "p99_us", "p99.9_us", "max_ms", "records_over_20_ms")
    loads = {"alone": "one process", "four": "four processes"}
    sides = {"ours": "**ours**", "bare": "a bare INSERT, WAL bounded", "ratio": "ratio"}
    rows = [
        (f"{words}: {side}", *(_number(measured[load][name].get(key)) for key in keys))
        for load, words in loads.items()
        for name, side in sides.items()
    ]
    return table(heads, rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def go(figures: Figures) -> str:
    """This package beside Go's own telemetry."""
    measured = figures["go"] or {"not_measured": "it was not asked for"}
    if "not_measured" in measured:
        return f"Not measured: {measured['not_measured']}."
    ours, its = measured["ours"], measured["go"]
    rows = [
        ("one event, p50 / p99 / p99.9, µs", *(_nanoseconds(side) for side in (ours, its))),
        (
            "stored of 4,000 events that four processes count in loops",
            *(f"{side['four_processes']:,}" for side in (ours, its)),
        ),
        ("stored although the process was killed", *("yes" if side["killed"] else "**no**" for side in (ours, its))),
        ("of 1,000 events on a full disk", *(_full_disk(side["full_disk"]) for side in (ours, its))),
        ("after opting out", *(_left_behind(side["opted_out"]) for side in (ours, its))),
    ]
    return table(("", "**ours**", f"x/telemetry {measured['version']}, {measured['go_version']}"), rows)


def _nanoseconds(side: Peer) -> str:
    return " / ".join(figure(side[f"{share}_ns"] / 1000) for share in ("p50", "p99", "p999"))


def _full_disk(found: dict[str, int] | None) -> str:
    return "not measured" if found is None else f"{found['stored']:,} stored, exit code {found['exit_code']}"


def _left_behind(found: dict[str, int]) -> str:
    return f"{found['files']} files, {found['bytes']:,} bytes, **{found['events']:,} events** in them"
