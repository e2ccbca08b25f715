"""The oracle counts a spool with sqlite3 alone, in a fresh process, and compares it with the hosts' journals.

python -m tests.campaigns.hosts.oracle SPOOL
"""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

COUNTS = {"day", "event", "environment", "count"}


class Stored(NamedTuple):
    """What a spool holds."""

    events: int
    dropped: int
    attempts: int  # at sending


class Totals(NamedTuple):
    """What all hosts of a test attempted, what was acknowledged to them, and what is stored."""

    processes: int
    attempted: int
    acknowledged: int
    stored: Stored
    slowest_ms: float
    facts: dict[str, float]

    def __str__(self) -> str:
        facts = "".join(f", {name} {value:g}" for name, value in sorted(self.facts.items()))
        return (
            f"{self.processes} processes, {self.attempted} attempted, {self.acknowledged} acknowledged, "
            f"{self.stored.events} stored, {self.stored.dropped} dropped, slowest {self.slowest_ms:.0f} ms{facts}"
        )


def audit(spool: Path, journals: Path, *, wiped: bool) -> Totals:
    """Hold the spool to the journals: acknowledged ⊆ stored ⊆ attempted, no failure, the file sound and in its place.

    A spool that was wiped by `disable` holds nothing.
    """
    pages = [json.loads(path.read_text("utf-8")) for path in journals.glob("*.json")]
    assert [failure for page in pages for failure in page["failures"]] == []
    facts: dict[str, float] = {}
    for page in pages:
        for name, value in page["facts"].items():
            facts[name] = facts.get(name, 0) + value
    totals = Totals(
        len(pages),
        sum(page["attempted"] for page in pages),
        sum(page["acknowledged"] for page in pages),
        ask(spool),
        max((page["slowest_ms"] for page in pages), default=0),
        facts,
    )
    assert [path.name for path in spool.parent.glob("spool.db.*")] == [], f"the spool was put aside: {totals}"
    least, most = (0, 0) if wiped else (totals.acknowledged, totals.attempted)
    assert least <= totals.stored.events <= most, str(totals)
    return totals


def ask(spool: Path) -> Stored:
    """Count in a process that never had the spool open."""
    command = [sys.executable, "-m", "tests.campaigns.hosts.oracle", str(spool)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Stored(*json.loads(done.stdout))


def count(spool: str) -> Stored:
    """Raw events, counts and the rows of batches; tables are found by their columns, as names may change."""
    with closing(sqlite3.connect(spool, timeout=10)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

        def add(what: str, *columns: str, where: str = "1") -> int:
            (table,) = [name for name, found in tables(connection).items() if found == set(columns)]
            return int(connection.execute(f"SELECT {what} FROM {table} WHERE {where}").fetchone()[0])

        raw = add("count(*)", "id", "day", "event", "environment", where="event > 0")
        counts = add("coalesce(sum(count), 0)", *COUNTS)
        rows = add("coalesce(sum(count), 0)", "uid", "batch", *COUNTS)
        dropped = add("coalesce(sum(count), 0)", "name", "count", where="name LIKE 'dropped:%'")
        (batches,) = [name for name, found in tables(connection).items() if {"attempts", "sha256"} <= found]
        attempts = connection.execute(f"SELECT coalesce(sum(attempts), 0) FROM {batches}").fetchone()[0]
        return Stored(raw + counts + rows, dropped, attempts)


def tables(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """The columns of each table."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1])))
