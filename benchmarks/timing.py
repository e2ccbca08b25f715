"""Measures the first record, one of many, and a whole process; alternately, so that a busy minute affects all peers."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

from benchmarks.endpoints import STATES, answering, endpoint
from benchmarks.processes import Failed, Peer, Process, Result, Workspace, end_all, new_workspace, reason, run

PACE_S = 1 / 500  # four processes at 500 records a second each
TOGETHER = 4
SLOW_S = 3.0  # a whole process that takes this long is not repeated as often
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
LOAD = """
import os, sys
block = bytes(4 * 2**20)
with open(sys.argv[1], "wb", buffering=0) as file:
    for turn in range(20_000):  # killed by the parent; the file never exceeds 64 MB
        if turn % 16 == 0:
            file.seek(0)
        file.write(block)
        os.fsync(file.fileno())
"""


class Effort(NamedTuple):
    """The numbers of rounds and calls, and the facts that are tested."""

    rounds: int
    slow_rounds: int
    record_rounds: int
    calls: int
    limit_s: float
    together_rounds: int
    together_calls: int
    facts: tuple[str, ...]


ALL_FACTS = ("arrives", "killed", "offline", "together", "opted_out")
FULL = Effort(7, 2, 5, 2_000, 1.5, 3, 1_000, ALL_FACTS)
QUICK = Effort(3, 1, 3, 500, 0.5, 1, 250, ("killed", "together"))
Figures = dict[str, dict[str, Any]]  # by peer


class Rounds(NamedTuple):
    """One value for each round, and the error that ended the rounds."""

    values: list[Any]
    errors: list[str]


def measure_first(peers: list[Peer], effort: Effort) -> Figures:
    """Import and first record, with an existing store."""

    def once(peer: Peer, workspace: Workspace) -> Result:
        with answering(peer.adapter.answer) as server:
            return run(peer, "first", server.url, workspace)

    return {
        name: _summarize(measured, _first)
        for name, measured in _run_alternately(peers, effort.rounds + 1, once).items()
    }


def measure_whole(peers: list[Peer], effort: Effort) -> Figures:
    """A whole process, for each state of the endpoint."""
    figures: Figures = {peer.name: {} for peer in peers}
    for state in STATES:

        def once(peer: Peer, workspace: Workspace, state: str = state) -> Result:
            peer.adapter.prepare(str(workspace.home))
            with endpoint(state, peer.adapter.answer) as server:
                return run(peer, "whole", server.url, workspace)

        for name, measured in _run_alternately(peers, effort.rounds + 1, once, slow_rounds=effort.slow_rounds).items():
            figures[name][state] = _summarize(measured, _whole)
    return figures


def measure_record(peers: list[Peer], effort: Effort) -> Figures:
    """One of many records: in one process and in four, with an idle and with a busy disk."""
    figures: Figures = {peer.name: {} for peer in peers}
    for loaded in (False, True):
        for number, rounds, name in ((1, effort.record_rounds, "alone"), (TOGETHER, effort.together_rounds, "four")):

            def once(peer: Peer, _: Workspace, number: int = number, *, loaded: bool = loaded) -> dict[str, float]:
                return _calls(peer, number, effort, loaded=loaded)

            for peer, measured in _run_alternately(peers, rounds, once).items():
                figures[peer][f"{name}_loaded" if loaded else name] = _summarize(measured, _merge)
    return figures


def _run_alternately(
    peers: list[Peer], rounds: int, once: Callable[[Peer, Workspace], Any], slow_rounds: int | None = None
) -> dict[str, Rounds]:
    """Run all peers in each round, each in its own workspace; one that fails is omitted from then on."""
    measured = {peer.name: Rounds([], []) for peer in peers}
    with ExitStack() as stack:
        workspaces = {peer.name: stack.enter_context(new_workspace()) for peer in peers}
        for turn in range(rounds):
            # Each round begins with another peer, because pending writes of a peer slow the next one down.
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                values, errors = measured[peer.name]
                if errors or (slow_rounds is not None and _is_enough(values, slow_rounds)):
                    continue
                try:
                    values.append(once(peer, workspaces[peer.name]))
                except Failed as error:
                    errors.append(str(error))
                end_all(workspaces[peer.name])
    return measured


def _calls(peer: Peer, number: int, effort: Effort, *, loaded: bool) -> dict[str, float]:
    count, pace_s = (effort.calls, 0.0) if number == 1 else (effort.together_calls, PACE_S)
    limit_s = effort.limit_s + count * pace_s
    with (
        new_workspace() as workspace,
        answering(peer.adapter.answer) as server,
        _load(workspace) if loaded else nullcontext(),
    ):
        children = [
            Process(peer, "calls", server.url, workspace, count, limit_s, pace_s, held=True) for _ in range(number)
        ]
        while not all(child.is_ready() for child in children):
            time.sleep(0.01)
        for child in children:
            child.release()
        return _shape([child.wait() for child in children])


def _shape(results: list[Result]) -> dict[str, float]:
    for result in results:
        if not result.report:
            raise Failed(reason(result))
    times = sorted(time_s for result in results for time_s in result.report["times_s"])
    shares = {f"{name}_us": at(times, share) * 1e6 for name, share in SHARES.items()}
    return {**shares, "calls": len(times), "failed": sum(result.report["failed"] for result in results)}


@contextmanager
def _load(workspace: Workspace) -> Iterator[None]:
    """Another process that writes 4 MB at a time and waits for the disk each time."""
    command = [sys.executable, "-I", "-c", LOAD, str(workspace.files / "load")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as writer:
        try:
            yield
        finally:
            writer.kill()


def _summarize(rounds: Rounds, summarize: Callable[[list[Any]], dict[str, Any]]) -> dict[str, Any]:
    return {"error": rounds.errors[0]} if rounds.errors else summarize(rounds.values)


def _is_enough(results: list[Result], slow_rounds: int) -> bool:
    return len(results) >= slow_rounds and statistics.median(result.wall_s for result in results) > SLOW_S


def _first(results: list[Result]) -> dict[str, Any]:
    reports = [result.report for result in _warm(results) if result.report]
    if not reports:
        return {"error": "over 30 s"}
    return {
        "cpu_ms": spread([report["cpu_s"] * 1e3 for report in reports]),
        "wall_ms": spread([report["wall_s"] * 1e3 for report in reports]),
        "modules": int(statistics.median(report["modules"] for report in reports)),
    }


def _whole(results: list[Result]) -> dict[str, Any]:
    results = _warm(results)
    return {
        "wall_ms": spread([result.wall_s * 1e3 for result in results]),
        "cpu_ms": spread([result.cpu_s * 1e3 for result in results]),
        "rounds": len(results),
        "over_30_s": any(result.over for result in results),
    }


def _warm(results: list[Result]) -> list[Result]:
    """Without the first one, which created the store, unless it is the only one (which took seconds anyway)."""
    return results[1:] or results


def _merge(shapes: list[dict[str, float]]) -> dict[str, Any]:
    """The medians and quartiles of the rounds, and the number of calls."""
    merged: dict[str, Any] = {f"{name}_us": spread([shape[f"{name}_us"] for shape in shapes]) for name in SHARES}
    return merged | {key: int(sum(shape[key] for shape in shapes)) for key in ("calls", "failed")}


def spread(values: list[float]) -> dict[str, float]:
    """The median and the quartiles, to four digits."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"low": _round(low), "median": _round(median), "high": _round(high)}


def at(ordered: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _round(value: float) -> float:
    return float(f"{value:.4g}")


Measure = Callable[[list[Peer], Effort], Figures]
MEASURES: dict[str, Measure] = {"first": measure_first, "record": measure_record, "whole": measure_whole}
