"""Measures how folding, sealing and sending grow from a thousand events to a million, with few and many kinds."""

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.endpoints import answering
from benchmarks.ours.host import Host

FEW_KINDS = 7
MANY_KINDS = 5 * 365 * 7 * 20  # five years of days, seven events, twenty environments
EVENTS, QUICK_EVENTS = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
HOST_EVENTS, QUICK_HOST_EVENTS = (10_000, 100_000, 1_000_000), (10_000, 50_000)
# Slopes are of CPU time, because elapsed time depends on other programs.
SECONDS, CPU = ("fold_s", "seal_a_batch_s", "flush_s"), ("fold_cpu_s", "seal_a_batch_cpu_s", "flush_cpu_s")

Runs = Sequence[dict[str, float]]


def measure(host: Host, *, quick: bool) -> dict[str, Any]:
    """Seconds and slopes of run step, with few and many kinds; and folding as in the host."""
    events = QUICK_EVENTS if quick else EVENTS
    forms = {"few_kinds": FEW_KINDS, "many_kinds": QUICK_EVENTS[1] if quick else MANY_KINDS}
    with answering(lambda *_: b"{}") as endpoint:
        grown = {name: _grow(host.elsewhere(name), events, kinds, endpoint.url) for name, kinds in forms.items()}
    return {
        **grown,
        "in_the_host": {
            name: _in_host(host.elsewhere(f"host-{name}"), QUICK_HOST_EVENTS if quick else HOST_EVENTS, kinds)
            for name, kinds in forms.items()
        },
    }


def _grow(host: Host, events: Sequence[int], kinds: int, url: str) -> dict[str, Any]:
    endpoint = {"DEEPCHECKS_TELEMETRY_ENDPOINT": url}
    runs = [host.elsewhere(str(count)).inside("grow", count, min(count, kinds), **endpoint) for count in events]
    batches = [run["batches"] for run in runs]
    return {
        "events": list(events),
        "kinds": [min(count, kinds) for count in events],
        "batches": batches,
        **{step: [round(run[step], 4) for run in runs] for step in (*SECONDS, *CPU)},
        "folded_events_per_s": [round(count / run["fold_s"]) for count, run in zip(events, runs, strict=True)],
        "slope": {step: slope(events, [run[step] for run in runs]) for step in CPU} | _by_batches(batches, runs),
    }


def _by_batches(batches: Sequence[int], runs: Runs) -> dict[str, float]:
    """Sending must be linear in the number of batches, which have a thousand kinds run."""
    if batches[0] == batches[-1]:
        return {}
    return {"flush_cpu_s_by_batches": slope(batches, [run["flush_cpu_s"] for run in runs])}


def _in_host(host: Host, events: Sequence[int], kinds: int) -> dict[str, Any]:
    runs = [host.elsewhere(str(count)).inside("in_host", count, kinds) for count in events]
    return {
        "events": list(events),
        **{step: [round(run[step], 4) for run in runs] for step in (SECONDS[0], CPU[0])},
        "folded_events_per_s": [round(count / run["fold_s"]) for count, run in zip(events, runs, strict=True)],
        "slope": {CPU[0]: slope(events, [run[CPU[0]] for run in runs])},
    }


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent of growth, by least squares on a log-log scale: 1 is linear, 0 does not grow."""
    points = [(math.log(size), math.log(time)) for size, time in zip(sizes, times, strict=True)]
    middle, level = (sum(values) / len(points) for values in zip(*points, strict=True))
    over = sum((size - middle) * (time - level) for size, time in points)
    return round(float(over / sum((size - middle) ** 2 for size, _ in points)), 2)
