"""Runs all measures of all peers into one document, with the reason for each value that is missing."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import facts, gotelemetry, machine, timing
from benchmarks.budgets import evaluate
from benchmarks.environments import HERE
from benchmarks.peers import Adapter
from benchmarks.processes import Peer

MEASURES = {**timing.MEASURES, "left": facts.measure_left, "facts": facts.measure_facts}
RECORDS, RECORD_S = 10_000_000, 3_600.0
Installed = Mapping[str, Mapping[str, Any]]  # by peer: python, version, distributions; or error


def load(name: str) -> Adapter:
    """The adapter of a peer."""
    adapter: Adapter = importlib.import_module(f"benchmarks.peers.{name}").Peer()
    return adapter


def measure(everything: Mapping[str, Any], *, quick: bool, isolated: bool, ours: bool) -> dict[str, Any]:
    """The figures of one run; with `ours`, also those of this package only, and those beside Go's telemetry."""
    started = time.monotonic()
    installed: Installed = everything["peers"]
    peers = _measure_peers(installed, timing.QUICK if quick else timing.FULL, isolated=isolated)
    figures = {
        "machine": machine.describe(),
        "quick": quick,
        "isolation": "a network namespace" if isolated else "an audit hook in each process",
        "peers": peers,
        "record": _measure_record(installed) if ours else None,
        "ours": _measure_ours(installed, everything["commands"]) if ours else None,
        "go": _measure_go(installed, everything["go"]) if ours else None,
        "took_s": round(time.monotonic() - started),
    }
    return figures | {"budgets": [budget._asdict() for budget in evaluate(figures)]}


def _measure_peers(installed: Installed, effort: timing.Effort, *, isolated: bool) -> dict[str, dict[str, Any]]:
    figures = {name: {key: value for key, value in peer.items() if key != "python"} for name, peer in installed.items()}
    adapters = {name: load(name) for name in installed}
    for name, adapter in adapters.items():
        figures[name] |= {"name": adapter.NAME, "sends": adapter.SENDS}
    peers = [
        Peer(name, adapters[name], peer["python"], isolated) for name, peer in installed.items() if "python" in peer
    ]
    for measure, act in MEASURES.items():
        _log(measure)
        for name, values in act([peer for peer in peers if measure in peer.adapter.MEASURES], effort).items():
            figures[name][measure] = values
    return figures


def _measure_record(installed: Installed) -> dict[str, Any] | None:
    """The ratios to a bare INSERT, measured alternately in one process, which is more precise than in two."""
    python = installed.get("ours", {}).get("python")
    if python is None:
        return None
    _log("record.py")
    command = [python, HERE / "record.py", "--records", str(RECORDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RECORD_S, check=False)
    return {"error": done.stderr.splitlines()[-1]} if done.returncode else dict(json.loads(done.stdout))


def _measure_go(installed: Installed, built: dict[str, str]) -> dict[str, Any] | None:
    python = installed.get("ours", {}).get("python")
    if python is None:
        return None
    _log("go")
    try:
        return gotelemetry.measure(built, python)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the figures of an hour must not be lost
        return {"not_measured": f"{type(error).__name__}: {error}"}


def _measure_ours(installed: Installed, others: Mapping[str, Sequence[str]]) -> dict[str, Any] | None:
    """The figures of this package only, in the environment with deepchecks if there is one."""
    python = installed.get("deepchecks", {}).get("python") or installed.get("ours", {}).get("python")
    if python is None:
        return None
    _log("ours")
    from benchmarks.ours import measure

    try:
        return measure(python, quick=False, light=installed.get("ours", {}).get("python"), others=others)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the figures of an hour must not be lost
        return {"error": f"{type(error).__name__}: {error}"}


def _log(step: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {step}", file=sys.stderr, flush=True)
