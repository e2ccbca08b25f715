"""A spool that was edited: for any value in any column, each command prints escaped text or one line with the error."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from deepchecks_telemetry.spool.db.schema import TABLES

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]

COMMANDS = [
    *(["status", "--explain"], ["status", "--json"], ["inspect"], ["inspect", "--events"], ["sent"], ["sent", "1"]),
    *(["catalogue"], ["doctor"], ["preview"], ["view", "--output", "-"], ["disable"]),
]
VALUES = ["<b>\x1b[2J\x1b]0;owned\x07\u202e\r\nno\x00", b"\xff\x1b[2J"]


def columns() -> list[tuple[str, str]]:
    """Every column of the spool's tables."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]


@pytest.fixture
def spool(deepchecks: Run, record: Record, home: Path) -> bytes:
    """A spool with rows in most of its tables."""
    assert record("run-check", "run-suite") == [True] * 2
    deepchecks("preview")
    assert record("run-check") == [True]
    with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO folded SELECT day, 3, environment, 4 FROM events LIMIT 1")
        connection.execute("INSERT INTO tallies VALUES ('delivered', 3), ('dropped:busy', 1), ('recovered', 8)")
        connection.execute("UPDATE batches SET tried_at = 1, outcome = 'no', endpoint = 'http://127.0.0.1:9/v1/logs'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (home / "state" / "spool.db").read_bytes()


@pytest.mark.parametrize("table", sorted({table for table, _ in columns()}))
def test_any_value_in_any_column_is_escaped_or_reported_in_one_line(
    table: str, spool: bytes, deepchecks: Run, home: Path
) -> None:
    for column, value in [(column, value) for named, column in columns() if named == table for value in VALUES]:
        for path in (home / "state").iterdir():
            path.unlink()
        (home / "state" / "spool.db").write_bytes(spool)
        (home / "config" / "mode").unlink(missing_ok=True)
        with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
            try:
                connection.execute("PRAGMA ignore_check_constraints = ON")
                connection.execute(f"UPDATE {table} SET {column} = ?", [value])
            except sqlite3.IntegrityError:
                continue
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for command in COMMANDS:
            done = deepchecks(*command)
            context = (table, column, value, command, done.stdout, done.stderr)
            assert done.returncode in (0, 1), context
            assert (done.stdout + done.stderr).replace("\n", "").isprintable(), context
            assert done.returncode == 0 or command == ["doctor"] or done.stderr.startswith("Error: "), context


def test_hostile_text_in_the_choice_and_the_endpoint_is_escaped(deepchecks: Run, home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "mode").write_text("on\x1b[2J\n")
    (home / "config" / "endpoint").write_text("https://x.example/\x1b[2J<b>\n")
    for command in (["status", "--explain"], ["view", "--output", "-"], ["doctor"]):
        done = deepchecks(*command)
        assert "\x1b" not in done.stdout + done.stderr
        assert "<b>" not in done.stdout
    assert json.loads(deepchecks("status", "--json").stdout)["mode"] == "off"
