"""Queries that would use too much memory, read other files or run code end with a one-line error.

Queries that write, attach, set a pragma or never end are in tests/cli/show/test_query.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.show import query
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.recording import record as recording

pytestmark = pytest.mark.timeout(60)
ENDLESS = "WITH RECURSIVE a (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a)"
MEMORY = [
    "SELECT zeroblob(1000000000)",
    "SELECT length(randomblob(1000000000))",
    "SELECT length(printf('%*d', 1000000000, 1))",
    "SELECT length(replace(hex(zeroblob(100000)), '0', hex(zeroblob(10000))))",
    f"{ENDLESS} SELECT randomblob(1000000) FROM a",
    f"{ENDLESS} SELECT x FROM a",
]
BOUNDED = """
import resource, sys
from deepchecks_telemetry.cli.show import query
from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.spool.files.paths import find_home
import sqlite_utils, tabulate
for statement in sys.argv[1:]:
    try:
        query.run_query(find_home(), statement)
    except CliError as error:
        print(error.format_message())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
OTHERS = [
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('here', 'x')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('simple', x'4141414141414141')",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT * FROM dbstat",
    "SELECT count(*) FROM DBSTAT",
    "SELECT * FROM sqlite_dbpage",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_hard_heap_limit(0)",
    "ATTACH '/etc/passwd' AS other",
    "ATTACH ':memory:' AS other",
    "WITH a AS (SELECT 1) INSERT INTO tallies SELECT 'a', 1",
    "CREATE TEMP TRIGGER t AFTER INSERT ON events BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE temp.v USING fts5(x)",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA trusted_schema = ON",
    "PRAGMA mmap_size = 1000000000",
    "EXPLAIN DELETE FROM events",
]


@pytest.fixture(autouse=True)
def spool(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert recording.record("run-check")
    recording.close()
    return home / "state" / "spool.db"


@pytest.mark.parametrize("statement", OTHERS)
def test_a_query_sees_the_spool_and_nothing_else(statement: str, spool: Path, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if path.suffix not in {".db-wal", ".db-shm"})
    with pytest.raises(CliError) as raised:
        query.run_query(find_home(), statement)
    assert raised.value.format_message().count("\n") == 0
    assert sorted(path for path in tmp_path.rglob("*") if path.suffix not in {".db-wal", ".db-shm"}) == before
    assert query.run_query(find_home(), "SELECT count(*) AS n FROM events") == [{"n": 1}]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells the memory of a process otherwise")
def test_a_query_has_a_memory_limit(spool: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BOUNDED, *MEMORY], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    *lines, peak = done.stdout.splitlines()
    assert lines == ["The query needs too much memory. Select less, or add a LIMIT."] * len(MEMORY)
    assert int(peak) // (1024 if sys.platform == "darwin" else 1) < 700_000


def test_a_large_result_that_fits_is_printed(spool: Path) -> None:
    (row,) = query.run_query(find_home(), "SELECT hex(zeroblob(1000000)) AS a, zeroblob(1000000) AS b")
    assert (len(row["a"]), len(row["b"])) == (2_000_000, 1_000_000)
