"""A spool that an attacker can edit, with SQL access to it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recovery import maintenance

Sql = Callable[..., list[Any]]


@pytest.fixture
def dirs(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A spool with three events that no process has open."""
    monkeypatch.setattr(maintenance, "SETTLED_S", 0.0)  # so that nothing has to be waited for
    for name in ("run-check", "run-check", "run-suite"):
        assert recording.record(name)
    recording.close()
    yield find_home()
    recording.close()


@pytest.fixture
def sql(dirs: Home) -> Sql:
    """Run SQL on the spool, as in an SQLite shell."""

    def execute(statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(dirs.spool, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    return execute
