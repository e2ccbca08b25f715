"""Measures the bytes of an event on the disk: raw, and folded, when only its kind counts."""

from typing import Any

from benchmarks.ours.growth import FEW_KINDS, MANY_KINDS
from benchmarks.ours.host import Host

RAW = (100, 300, 900)  # the host does not fold before
PUT_OFF = (2_000, 4_000)  # raw events that are not folded, because another process holds the lock
CHECKS_A_DAY = 10_000
LATE = (10_000, 100_000, 1_000_000)
EVENTS = (10_000, 100_000, 1_000_000)
KINDS = (FEW_KINDS, 1_000, 10_000, 100_000, MANY_KINDS)


def measure(host: Host, *, quick: bool) -> dict[str, Any]:
    """Bytes of raw events, written in a day, of folded events by their number and kinds, and of events folded late."""
    raw = RAW if quick else RAW + PUT_OFF
    events, kinds, late = (sizes[:2] if quick else sizes for sizes in (EVENTS, KINDS, LATE))
    by_events = [host.elsewhere(f"events-{count}").inside("folded", count, FEW_KINDS)["bytes"] for count in events]
    return {
        "raw": _raw(host, raw),
        "written_a_day": host.elsewhere("day").inside("written", CHECKS_A_DAY),
        "folded_by_events": {"events": list(events), "bytes": by_events},
        "folded_by_events_ratio": round(max(by_events) / min(by_events), 2),
        "folded_by_kinds": _by_kinds(host, kinds),
        "folded_late": {str(count): host.elsewhere(f"late-{count}").inside("late", count) for count in late},
    }


def _raw(host: Host, counts: tuple[int, ...]) -> dict[str, Any]:
    """Growth since the first record. The WAL has one or two whole pages for run record until it is truncated."""
    runs = {count: host.elsewhere(f"raw-{count}").inside("raw", count) for count in counts}
    return {
        "events": list(counts),
        "database_bytes_per_event": [round(run["database"] / count, 1) for count, run in runs.items()],
        "database_and_wal_bytes_per_event": [round(run["database_and_wal"] / count, 1) for count, run in runs.items()],
        "database_and_wal_bytes": [run["database_and_wal"] for run in runs.values()],
    }


def _by_kinds(host: Host, kinds: tuple[int, ...]) -> dict[str, Any]:
    runs = [host.elsewhere(f"kinds-{count}").inside("folded", max(count, 1_000), count) for count in kinds]
    few, many = runs[0], runs[-1]
    return {
        "kinds": list(kinds),
        "bytes": [run["bytes"] for run in runs],
        "bytes_per_kind": round((many["bytes"] - few["bytes"]) / (many["kinds"] - few["kinds"]), 1),
    }
