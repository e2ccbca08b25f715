"""Hostile text in a file, a name or a store is printed as text: no cursor moves, no cell is a formula.

tests/cli/test_hostile.py attacks each column of an edited spool, tests/browser the page.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from uuid import UUID

import click
import pytest
from click.testing import CliRunner, Result

from deepchecks_telemetry import cli
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.collector.store import Store
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import Environment
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.flush import seal_next

CONTROL = "\x1b[2J\x1b]0;owned\x07\r\n\u202e\x9b1m"
FORMULAS = ["=cmd|'/C calc'!A0", "+1", "-1+1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n@x"]
# The columns that a report reads.
EDITED = {
    "cells": ("events", "rows", "installations"),
    "growth": ("first", "period", "version", "kept", "installations"),
    "installations": ("id",),
    "environments": Environment._fields,
    "events": ("name",),
    "categories": ("event", "environment", "lateness"),
    "daily": ("day", "category", "events", "rows", "installations"),
    "active": ("installation", "period"),
}


def telemetry(*words: str, **variables: str) -> Result:
    command = ["telemetry", *words]
    return CliRunner().invoke(cli.deepchecks, command, prog_name="deepchecks", env=variables, catch_exceptions=False)


def is_text(output: str) -> bool:
    return output.replace("\n", "").isprintable()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("hostile", ["--x\x1b[2J", "\x1b[2J", "--\u202ex=\x9b1m", "a\nError: b"], ids=ascii)
def test_an_invalid_mode_is_printed_as_text(hostile: str) -> None:
    assert is_text(CliRunner().invoke(cli.deepchecks, [hostile]).output)
    for words in ((), *commands(cli.telemetry)):
        done = telemetry(*words, *[hostile] * 3)  # no command accepts three of them
        assert (done.exit_code, done.stdout) == (2, "") or words in {("deliver",), ("settle",), ("collector", "load")}
        assert is_text(done.stderr), done.stderr
        assert "\nError: b" not in done.stderr


@pytest.mark.parametrize("words", ["deliver", "settle", "export", "collector report --store", "collector load"])
def test_a_file_name_in_an_error_is_printed_as_text(words: str, tmp_path: Path) -> None:
    done = telemetry(*words.split(), f"{tmp_path}/no/{CONTROL}", DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    assert done.exit_code in (0, 1, 2)
    assert is_text(done.output)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize("words", ["status --explain", "view", "doctor", "enable", "disable"])
def test_a_directory_with_a_hostile_name_is_printed_as_text(words: str, tmp_path: Path) -> None:
    environ = {**os.environ, "DEEPCHECKS_TELEMETRY_DIR": f"{tmp_path}/{CONTROL}", "BROWSER": "true"}
    script = "from deepchecks_telemetry.spool import record; assert record('run-check')"
    subprocess.run([sys.executable, "-c", script], env=environ, timeout=60, check=True)
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", *words.split()]
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60)
    assert done.stdout
    assert is_text((done.stdout + done.stderr).decode())


def test_doctor_never_prints_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(Path(os.environ["HOME"], "telemetry")))
    assert record("run-check")
    Path(find_home().state, "spool.db").chmod(0o644)
    done = telemetry("doctor")
    assert "chmod 600 ~/telemetry/state" in done.stdout
    assert os.environ["HOME"] not in done.output
    assert os.environ["HOME"] not in telemetry("doctor", "--json").output


@pytest.mark.parametrize(
    "count", ['{"intValue":1e999}', '{"intValue":NaN}', "{}", "[]", "null", "[" * 200_000], ids=lambda count: count[:20]
)
def test_the_page_shows_a_batch_whose_bytes_are_not_a_request(count: str) -> None:
    assert record("run-check")
    batch = seal_next(find_home())
    assert batch is not None
    body = batch.body.replace(b'{"intValue":"1"}', count.encode())
    assert body != batch.body
    digest = hashlib.sha256(body).hexdigest()
    with closing(sqlite3.connect(find_home().spool, isolation_level=None)) as connection:
        values = (gzip.compress(body), digest)
        connection.execute("UPDATE batches SET state = 'delivered', packed = ?, sha256 = ?", values)
    done = telemetry("view", "--output", "-")
    assert (done.exit_code, digest[:8] in done.output) == (0, True)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A collector's store with three rows."""
    environment = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    day = date(2026, 1, 5).isoformat()
    rows = [Row(str(UUID(int=n)), day, "run-check", 1 + n, environment, str(UUID(int=n))) for n in range(3)]
    with closing(Store(tmp_path / "store.db")) as opened:
        opened.append(rows, received=date(2026, 1, 6))
    return tmp_path / "store.db"


def edit(store: Path, table: str, column: str, value: object) -> None:
    """Write the value to a column of all rows, as far as its constraints allow it."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection, suppress(sqlite3.IntegrityError):
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))


@pytest.mark.parametrize(("table", "column"), [(table, column) for table, names in EDITED.items() for column in names])
def test_an_edited_store_is_reported_as_text_in_every_format(table: str, column: str, store: Path) -> None:
    pytest.importorskip("leather")
    for value in (CONTROL + "<script>alert(1)</script>", b"\xff\x1b[2J", b"\x1b[2J", 2**62, 10**9, -1, 0.5, 1e300, ""):
        edit(store, table, column, value)
        forms = ((), ("--json",), ("--csv", "--min-cell", "1"), ("--html", "--min-cell", "1"), ("--event", "run-check"))
        days = ("--by", "day", "--until", "2026-02-08", "--since")
        for form in (*forms, (*days, "2026-01-01"), (*days, "2026-02-01")):  # the rows are in the range, or before it
            done = telemetry("collector", "report", "--store", str(store), *form)
            assert done.exit_code in (0, 1), value
            assert is_text(done.output), done.output
            assert "<script>" not in done.output or "--html" not in form


@pytest.mark.parametrize("formula", FORMULAS, ids=ascii)
def test_no_csv_cell_is_a_formula(formula: str, store: Path) -> None:
    for table, column in (*(("environments", name) for name in EDITED["environments"]), ("events", "name")):
        edit(store, table, column, formula)
    done = telemetry("collector", "report", "--store", str(store), "--csv", "--min-cell", "1")
    assert done.exit_code == 0
    cells = [cell for line in csv.reader(io.StringIO(done.stdout)) for cell in line]
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))] == []
    assert sum(formula.strip() in cell for cell in cells) >= 5


def test_json_keeps_every_character_and_is_ascii(store: Path) -> None:
    edit(store, "events", "name", CONTROL)
    output = telemetry("collector", "report", "--store", str(store), "--json").stdout
    assert output.isascii()
    assert CONTROL in json.loads(output)["fields"]["event"]
