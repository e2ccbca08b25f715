"""Measures a program that imports deepchecks 0.19.1, counts some events and exits: with this package, without, by hand.

deepchecks' own request is turned off in all of them. Its variable also turns this package off, so it is removed after
the import, and this package is attached after that.
"""

import json
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, NamedTuple

from benchmarks.endpoints import answering, refusing, silent
from benchmarks.ours.host import Cost, Host

RECORDS = 30
SETTLE_S = 0.6  # the start of the uploader, at the lowest priority, must not be part of the next measurement
HAS = "import importlib.util, json\nprint(json.dumps(importlib.util.find_spec('deepchecks') is not None))"
PROGRAM = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
os.environ |= {{"DISABLE_LATEST_VERSION_CHECK": "1", "DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY": "1"}}
begun = time.process_time()
import deepchecks
imported, loaded = time.process_time(), len(sys.modules)
del os.environ["DISABLE_LATEST_VERSION_CHECK"], os.environ["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY"]
{first}
first, modules = time.process_time(), len(sys.modules) - loaded
for _ in range(int(sys.argv[2])):
    {record}
ended = time.process_time()
import json
print(json.dumps({{"import_cpu_ms": 1e3 * (imported - begun), "first_cpu_ms": 1e3 * (first - imported),
                  "records_cpu_ms": 1e3 * (ended - first), "modules": modules}}))
"""
WITHOUT = PROGRAM.format(first="pass", record="pass")
OURS = PROGRAM.format(
    # `attach` counts the import, which is the first record, and checks whether an upload is due.
    first="from deepchecks_telemetry.hooks import attach\nattach()\nfrom deepchecks_telemetry.spool import record",
    record='assert record("run-check")',
)
BY_HAND = PROGRAM.format(
    first="""
import sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, day INTEGER, event INTEGER, environment INTEGER)")
execute = connection.cursor().execute
INSERT = "INSERT INTO events (day, event, environment) VALUES (20000, ?, 1)"
execute(INSERT, (1,))
""",
    record="execute(INSERT, (2,))",
)


class Run(NamedTuple):
    """One process: its times, and what it measured itself."""

    cost: Cost
    report: dict[str, float]


def measure(host: Host, *, quick: bool) -> dict[str, Any]:
    """Each program in each state of the network; the ratios are medians over pairs of neighbouring processes."""
    if not host.ask(HAS):
        return {"not_measured": "deepchecks is not installed"}
    states = {"answers": answering(lambda *_: b"{}"), "refuses": refusing(), "silent": silent()}
    with ExitStack() as stack:
        opened = {name: stack.enter_context(endpoint) for name, endpoint in states.items()}
        programs = _programs(host, {name: endpoint.url for name, endpoint in opened.items()})
        runs = _run_in_turns(programs, 2 if quick else 15)
        if not opened["answers"].requests:
            raise SystemExit("Error: no uploader was ever started, so its cost was not measured.")
    return {name: _summarize(taken, runs["without"]) for name, taken in runs.items()}


def _programs(host: Host, urls: dict[str, str]) -> dict[str, Callable[[], Run]]:
    due = {f"due_{name}": partial(_ours, host.elsewhere(f"due-{name}"), url) for name, url in urls.items()}
    return {
        "without": partial(_run, host.elsewhere("without"), WITHOUT),
        "by_hand": partial(_run, host.elsewhere("by-hand"), BY_HAND),
        "ours": partial(_ours, host.elsewhere("ours"), None),
        "not_due": partial(_ours, host.elsewhere("not-due"), urls["answers"], due=False),
        **due,
    }


def _run_in_turns(programs: dict[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """Each program after one that has nothing, in each round; the first round only warms the caches."""
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            run = program()
            if turn:
                runs[name].append(run)
    return runs


def _run(host: Host, code: str, **variables: str) -> Run:
    cost, output = host.timed(code, host.home / "by-hand.db", RECORDS, **variables)
    return Run(cost, json.loads(output))


def _ours(host: Host, url: str | None, *, due: bool = True) -> Run:
    if host.spool.exists():
        with closing(sqlite3.connect(host.spool, isolation_level=None, timeout=5)) as connection:
            moment = 0 if due else int(time.time()) + 3600
            connection.execute("UPDATE spool SET next_upload = ?, retry_after = NULL", (moment,))
    run = _run(host, OURS, **({"DEEPCHECKS_TELEMETRY_ENDPOINT": url} if url else {}))
    time.sleep(SETTLE_S if due and url else 0)
    return run


def _summarize(runs: list[Run], without: list[Run]) -> dict[str, Any]:
    """Medians; the ratios are to the program without this package in the same round."""
    pairs = list(zip(runs, without, strict=True))
    middle = statistics.median
    report = {key: round(middle(run.report[key] for run in runs), 2) for key in runs[0].report}
    return {
        **report,
        "percent_of_import": round(100 * middle(r.report["first_cpu_ms"] / r.report["import_cpu_ms"] for r in runs), 3),
        "wall_ms": round(middle(run.cost.wall_ms for run in runs), 1),
        "cpu_ms": round(middle(run.cost.cpu_ms for run in runs), 1),
        "wall_ratio": round(middle(run.cost.wall_ms / other.cost.wall_ms for run, other in pairs), 4),
        "cpu_ratio": round(middle(run.cost.cpu_ms / other.cost.cpu_ms for run, other in pairs), 4),
        "rounds": len(runs),
    }
