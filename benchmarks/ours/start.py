"""Measures import, first record, a whole short process in each state of the network, and commands."""

import json
import sqlite3
import statistics
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from benchmarks.endpoints import answering, refusing, silent
from benchmarks.ours.host import BARE, BY_HAND, RECORD, Cost, Host, at_least, measure_alternately, medians

SETTLE_S = 0.6  # the start of the uploader, at the lowest priority, must not be part of the next measurement
FIRST = """
import sys, time
modules, start = len(sys.modules), time.process_time()
from deepchecks_telemetry.spool import record
stored = record("run-check")
took, modules = time.process_time() - start, len(sys.modules) - modules
assert stored
import json
print(json.dumps({"cpu_ms": 1e3 * took, "modules": modules, **globals().get("before", {})}))
"""
# The switch for deepchecks' own request also turns this package off, so it is removed again before the record.
LOADED = """
import os, time, warnings
warnings.simplefilter("ignore")
os.environ["DISABLE_LATEST_VERSION_CHECK"] = "1"
start = time.process_time()
import deepchecks
before = {"import_of_deepchecks_cpu_ms": 1e3 * (time.process_time() - start)}
del os.environ["DISABLE_LATEST_VERSION_CHECK"]
"""
HAS = "import importlib.util, json\nprint(json.dumps(importlib.util.find_spec('deepchecks') is not None))"
# deepchecks imports subprocess too, so it is imported in all variants.
SENDING = "import subprocess\n" + RECORD + "from deepchecks_telemetry.uploader import upload_if_due\nupload_if_due()\n"


def first_record(host: Host, *, quick: bool) -> dict[str, Any]:
    """CPU and modules of import and first record, to an existing spool, alone and with deepchecks loaded."""
    host.run(RECORD)
    bare = _median(host, FIRST, at_least(20, quick=quick))
    if not host.ask(HAS):
        return {"bare": bare, "with_deepchecks": {"not_measured": "deepchecks is not installed"}}
    loaded = _median(host, LOADED + FIRST, 2 if quick else 9)
    share = round(100 * loaded["cpu_ms"] / loaded["import_of_deepchecks_cpu_ms"], 2)
    return {"bare": bare, "with_deepchecks": {**loaded, "percent_of_it": share}}


def _median(host: Host, code: str, rounds: int) -> dict[str, float]:
    runs = [host.ask(code) for _ in range(rounds + 1)][1:]
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def process(host: Host, *, quick: bool) -> dict[str, Any]:
    """A process that imports, records one event and exits, compared with one that does the same with sqlite3 only."""
    host.run(RECORD)
    runs = measure_alternately(
        {
            "python": lambda: host.cost(BARE),
            "by_hand": lambda: host.cost(BY_HAND, host.spool),
            "ours": lambda: host.cost(RECORD),
        },
        at_least(40, quick=quick),
    )
    costs = medians(runs)
    return {**costs, "ratio_to_by_hand": _ratio(costs, "ours", "by_hand")}


def networks(host: Host, *, quick: bool) -> dict[str, Any]:
    """The same with an upload that is due, in each state of the network, compared with mode `local`."""
    states = {"answers": answering(lambda *_: b"{}"), "refuses": refusing(), "silent": silent()}
    with ExitStack() as stack:
        opened = {name: stack.enter_context(endpoint) for name, endpoint in states.items()}
        due = {f"due_{name}": partial(_send, host, endpoint.url) for name, endpoint in opened.items()}
        not_due = partial(_send, host, opened["answers"].url, due=False)
        costs = medians(
            measure_alternately({"local": partial(_send, host, None), "not_due": not_due, **due}, 4 if quick else 20)
        )
        arrived = len(opened["answers"].requests)
    if not arrived:
        raise SystemExit("Error: no uploader was ever started, so its cost was not measured.")
    return {**costs, "arrived": arrived, "ratio_to_local": {name: _ratio(costs, name, "local") for name in costs}}


def _send(host: Host, url: str | None, *, due: bool = True) -> Cost:
    """One such process; each endpoint has its own home."""
    home_host = host.elsewhere(f"{url or 'local'}-{due}".replace("/", ""))
    if not home_host.spool.exists():
        home_host.run(RECORD)
    with closing(sqlite3.connect(home_host.spool, isolation_level=None, timeout=5)) as connection:
        moment = 0 if due else int(time.time()) + 3600
        connection.execute("UPDATE spool SET next_upload = ?, retry_after = NULL", (moment,))
    variables = {"DEEPCHECKS_TELEMETRY_ENDPOINT": url} if url else {"DEEPCHECKS_TELEMETRY": "local"}
    cost = home_host.cost(SENDING, **variables)
    time.sleep(SETTLE_S if due and url else 0.1)
    return cost


def commands(host: Host, *, quick: bool) -> dict[str, Any]:
    """The wall time of two commands beyond that of a bare Python."""
    run = "import sys\nsys.argv[1:] = {}\nfrom deepchecks_telemetry.cli import main\nmain()"
    arguments = {"help": ["telemetry", "--help"], "status": ["telemetry", "status"]}
    host.run(RECORD)
    variants = {name: partial(host.cost, run.format(json.dumps(words))) for name, words in arguments.items()}
    costs = medians(measure_alternately({"python": partial(host.cost, BARE), **variants}, at_least(20, quick=quick)))
    over = {f"{name}_over_python_wall_ms": round(_over(costs, name), 1) for name in arguments}
    return {**costs, **over}


def _over(costs: dict[str, dict[str, float]], name: str) -> float:
    return costs[name]["wall_ms"] - costs["python"]["wall_ms"]


def _ratio(costs: dict[str, dict[str, float]], one: str, other: str) -> dict[str, float]:
    return {measure: round(costs[one][measure] / costs[other][measure], 2) for measure in ("wall_ms", "cpu_ms")}
