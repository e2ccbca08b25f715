"""All measures of all peers, as one document; what could not be measured is there with the reason."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks import facts, machine, timing
from benchmarks.budgets import weigh
from benchmarks.environments import HERE
from benchmarks.peers import Adapter
from benchmarks.processes import Peer

MEASURES = {**timing.MEASURES, "left": facts.measure_left, "facts": facts.measure_facts}
RECORD_S = 600.0
Installed = Mapping[str, Mapping[str, Any]]  # by peer: python, version, distributions; or error


def load(name: str) -> Adapter:
    """The adapter of a peer."""
    adapter: Adapter = importlib.import_module(f"benchmarks.peers.{name}").Peer()
    return adapter


def measure(installed: Installed, *, quick: bool, isolated: bool, ours: bool) -> dict[str, Any]:
    """The figures of one run; with `ours`, what ours alone costs as well."""
    started = time.monotonic()
    peers = _measure_peers(installed, timing.QUICK if quick else timing.FULL, isolated=isolated)
    figures = {
        "machine": machine.describe(),
        "quick": quick,
        "isolation": "a network namespace" if isolated else "an audit hook in each process",
        "peers": peers,
        "record": _measure_record(installed) if ours else None,
        "ours": _measure_ours(installed) if ours else None,
        "took_s": round(time.monotonic() - started),
    }
    return figures | {"budgets": [budget._asdict() for budget in weigh(figures)]}


def _measure_peers(installed: Installed, effort: timing.Effort, *, isolated: bool) -> dict[str, dict[str, Any]]:
    found = {name: {key: value for key, value in said.items() if key != "python"} for name, said in installed.items()}
    adapters = {name: load(name) for name in installed}
    for name, adapter in adapters.items():
        found[name] |= {"name": adapter.NAME, "sends": adapter.SENDS}
    peers = [
        Peer(name, adapters[name], said["python"], isolated) for name, said in installed.items() if "python" in said
    ]
    for measure, act in MEASURES.items():
        _say(measure)
        for name, figures in act([peer for peer in peers if measure in peer.adapter.MEASURES], effort).items():
            found[name][measure] = figures
    return found


def _measure_record(installed: Installed) -> dict[str, Any] | None:
    """The ratios to a bare INSERT, in one process where both take turns: sharper than between processes."""
    python = installed.get("ours", {}).get("python")
    if python is None:
        return None
    _say("record.py")
    command = [python, HERE / "record.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RECORD_S, check=False)
    return {"error": done.stderr.splitlines()[-1]} if done.returncode else dict(json.loads(done.stdout))


def _measure_ours(installed: Installed) -> dict[str, Any] | None:
    """What has no peer; with deepchecks beside it where that is installed."""
    python = installed.get("deepchecks", {}).get("python") or installed.get("ours", {}).get("python")
    if python is None:
        return None
    _say("ours")
    from benchmarks.ours import measure

    try:
        return dict(measure(python, quick=False))
    except Exception as error:  # noqa: BLE001 - what took half an hour before is not thrown away for it
        return {"error": f"{type(error).__name__}: {error}"}


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
