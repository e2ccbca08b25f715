"""How long: the first record, one of many, a whole process; the peers take turns, so a busy minute is everybody's."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

from benchmarks.endpoints import STATES, answering, endpoint
from benchmarks.processes import Failed, Ground, Peer, Process, Ran, end_all, ground, reason, run

PACE_S = 1 / 500  # four processes at 500 records a second each
TOGETHER = 4
SLOW_S = 3.0  # a whole process that takes this long is not repeated as often
SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
LOAD = """
import os, sys
block = bytes(4 * 2**20)
with open(sys.argv[1], "wb", buffering=0) as file:
    for turn in range(20_000):  # ended from outside; never larger than 64 MB
        if turn % 16 == 0:
            file.seek(0)
        file.write(block)
        os.fsync(file.fileno())
"""


class Effort(NamedTuple):
    """How much of everything; and which facts are tested."""

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
Found = dict[str, dict[str, Any]]  # by peer


class Taken(NamedTuple):
    """One value for each round, and the error that ended it."""

    values: list[Any]
    errors: list[str]


def measure_first(peers: list[Peer], effort: Effort) -> Found:
    """Import and first record, to a store that is there already."""

    def once(peer: Peer, on: Ground) -> Ran:
        with answering(peer.adapter.answer) as there:
            return run(peer, "first", there.url, on)

    return {name: _told(taken, _first) for name, taken in _take_turns(peers, effort.rounds + 1, once).items()}


def measure_whole(peers: list[Peer], effort: Effort) -> Found:
    """A whole process, for each state of the endpoint."""
    found: Found = {peer.name: {} for peer in peers}
    for state in STATES:

        def once(peer: Peer, on: Ground, state: str = state) -> Ran:
            peer.adapter.prepare(str(on.home))
            with endpoint(state, peer.adapter.answer) as there:
                return run(peer, "whole", there.url, on)

        for name, taken in _take_turns(peers, effort.rounds + 1, once, slow_rounds=effort.slow_rounds).items():
            found[name][state] = _told(taken, _whole)
    return found


def measure_record(peers: list[Peer], effort: Effort) -> Found:
    """One record among many: alone and four at once, on a quiet disk and beside one that writes."""
    found: Found = {peer.name: {} for peer in peers}
    for loaded in (False, True):
        for number, rounds, name in ((1, effort.record_rounds, "alone"), (TOGETHER, effort.together_rounds, "four")):

            def once(peer: Peer, _: Ground, number: int = number, *, loaded: bool = loaded) -> dict[str, float]:
                return _calls(peer, number, effort, loaded=loaded)

            for peer, taken in _take_turns(peers, rounds, once).items():
                found[peer][f"{name}_loaded" if loaded else name] = _told(taken, _merge)
    return found


def _take_turns(
    peers: list[Peer], rounds: int, once: Callable[[Peer, Ground], Any], slow_rounds: int | None = None
) -> dict[str, Taken]:
    """Each peer once, and again, each on its own ground; one that fails is left out from then on."""
    taken = {peer.name: Taken([], []) for peer in peers}
    with ExitStack() as stack:
        grounds = {peer.name: stack.enter_context(ground()) for peer in peers}
        for turn in range(rounds):
            # Another one begins each time: what a peer leaves to the disk is paid for by whoever comes next.
            for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
                values, errors = taken[peer.name]
                if errors or (slow_rounds is not None and _is_enough(values, slow_rounds)):
                    continue
                try:
                    values.append(once(peer, grounds[peer.name]))
                except Failed as error:
                    errors.append(str(error))
                end_all(grounds[peer.name])
    return taken


def _calls(peer: Peer, number: int, effort: Effort, *, loaded: bool) -> dict[str, float]:
    count, pace_s = (effort.calls, 0.0) if number == 1 else (effort.together_calls, PACE_S)
    limit_s = effort.limit_s + count * pace_s
    with ground() as on, answering(peer.adapter.answer) as there, _load(on) if loaded else nullcontext():
        children = [Process(peer, "calls", there.url, on, count, limit_s, pace_s, held=True) for _ in range(number)]
        while not all(child.is_ready() for child in children):
            time.sleep(0.01)
        for child in children:
            child.release()
        return _shape([child.wait() for child in children])


def _shape(ran: list[Ran]) -> dict[str, float]:
    for each in ran:
        if not each.report:
            raise Failed(reason(each))
    times = sorted(taken for each in ran for taken in each.report["times_s"])
    shares = {f"{name}_us": at(times, share) * 1e6 for name, share in SHARES.items()}
    return {**shares, "calls": len(times), "failed": sum(each.report["failed"] for each in ran)}


@contextmanager
def _load(on: Ground) -> Iterator[None]:
    """Somebody else who writes 4 MB at a time and waits for the disk each time."""
    command = [sys.executable, "-I", "-c", LOAD, str(on.beside / "load")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as writer:
        try:
            yield
        finally:
            writer.kill()


def _told(taken: Taken, tell: Callable[[list[Any]], dict[str, Any]]) -> dict[str, Any]:
    return {"error": taken.errors[0]} if taken.errors else tell(taken.values)


def _is_enough(ran: list[Ran], slow_rounds: int) -> bool:
    return len(ran) >= slow_rounds and statistics.median(each.wall_s for each in ran) > SLOW_S


def _first(ran: list[Ran]) -> dict[str, Any]:
    reports = [each.report for each in _warm(ran) if each.report]
    if not reports:
        return {"error": "over 30 s"}
    return {
        "cpu_ms": spread([report["cpu_s"] * 1e3 for report in reports]),
        "wall_ms": spread([report["wall_s"] * 1e3 for report in reports]),
        "modules": int(statistics.median(report["modules"] for report in reports)),
    }


def _whole(ran: list[Ran]) -> dict[str, Any]:
    ran = _warm(ran)
    return {
        "wall_ms": spread([each.wall_s * 1e3 for each in ran]),
        "cpu_ms": spread([each.cpu_s * 1e3 for each in ran]),
        "rounds": len(ran),
        "over_30_s": any(each.over for each in ran),
    }


def _warm(ran: list[Ran]) -> list[Ran]:
    """Without the first, which made the store; where it is the only one, it took seconds anyway."""
    return ran[1:] or ran


def _merge(shapes: list[dict[str, float]]) -> dict[str, Any]:
    """Of each round's shape: the medians and quartiles, and how many calls stand behind them."""
    merged: dict[str, Any] = {f"{name}_us": spread([shape[f"{name}_us"] for shape in shapes]) for name in SHARES}
    return merged | {key: int(sum(shape[key] for shape in shapes)) for key in ("calls", "failed")}


def spread(values: list[float]) -> dict[str, float]:
    """The median and the quartiles, to four digits."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"low": _round(low), "median": _round(median), "high": _round(high)}


def at(ordered: list[float], share: float) -> float:
    """The value below which this share lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _round(value: float) -> float:
    return float(f"{value:.4g}")


Measure = Callable[[list[Peer], Effort], Found]
MEASURES: dict[str, Measure] = {"first": measure_first, "record": measure_record, "whole": measure_whole}
