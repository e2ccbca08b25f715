"""How folding, sealing and sending grow, from a thousand events to a million, of few kinds and of very many."""

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.ours import receivers
from benchmarks.ours.host import Host

FEW_KINDS = 7
MANY_KINDS = 5 * 365 * 7 * 20  # five years of days, seven events, twenty environments
EVENTS, QUICK_EVENTS = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
HOST_EVENTS, QUICK_HOST_EVENTS = (10_000, 100_000, 1_000_000), (10_000, 50_000)
STEPS = ("fold_s", "seal_a_batch_s", "flush_s")

Found = Sequence[dict[str, float]]


def measure(host: Host, *, quick: bool) -> dict[str, Any]:
    """Seconds and slopes by step, with few and with many kinds; and folding as the host does it, by the thousand."""
    events = QUICK_EVENTS if quick else EVENTS
    forms = {"few_kinds": FEW_KINDS, "many_kinds": QUICK_EVENTS[1] if quick else MANY_KINDS}
    with receivers.answering() as url:
        grown = {name: _grow(host.elsewhere(name), events, kinds, url) for name, kinds in forms.items()}
    return {
        **grown,
        "in_the_host_by_the_thousand": {
            name: _by_the_thousand(host.elsewhere(f"host-{name}"), QUICK_HOST_EVENTS if quick else HOST_EVENTS, kinds)
            for name, kinds in forms.items()
        },
    }


def _grow(host: Host, events: Sequence[int], kinds: int, url: str) -> dict[str, Any]:
    endpoint = {"DEEPCHECKS_TELEMETRY_ENDPOINT": url}
    found = [host.elsewhere(str(count)).inside("grow", count, min(count, kinds), **endpoint) for count in events]
    kinds_of = [min(count, kinds) for count in events]
    whole = [sum(each[step] for step in STEPS) for each in found]
    return {
        "events": list(events),
        "kinds": kinds_of,
        **{step: [round(each[step], 4) for each in found] for step in STEPS},
        "batches": [each["batches"] for each in found],
        "folded_events_per_s": [round(count / each["fold_s"]) for count, each in zip(events, found, strict=True)],
        "events_per_s_in_all": [round(count / took) for count, took in zip(events, whole, strict=True)],
        "slope": {**_slopes(events, found, whole), **_by_batches(found)},
        "slope_of_the_last_step": _slopes(events[-2:], found[-2:], whole[-2:]),
    }


def _slopes(events: Sequence[int], found: Found, whole: Sequence[float]) -> dict[str, float]:
    return {step: slope(events, [each[step] for each in found]) for step in STEPS} | {"all": slope(events, whole)}


def _by_batches(found: Found) -> dict[str, float]:
    """Sending is by the batch of a thousand kinds, so that is what it must be linear in."""
    batches = [each["batches"] for each in found]
    if batches[0] == batches[-1]:
        return {}
    return {"flush_by_batches": slope(batches, [each["flush_s"] for each in found])}


def _by_the_thousand(host: Host, events: Sequence[int], kinds: int) -> dict[str, Any]:
    took = [host.elsewhere(str(count)).inside("in_thousands", count, kinds)["fold_s"] for count in events]
    return {
        "events": list(events),
        "fold_s": [round(each, 4) for each in took],
        "folded_events_per_s": [round(count / each) for count, each in zip(events, took, strict=True)],
        "slope": slope(events, took),
    }


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent of growth, by least squares on a log-log scale: 1 is linear, 0 does not grow."""
    points = [(math.log(size), math.log(time)) for size, time in zip(sizes, times, strict=True)]
    middle, level = (sum(values) / len(points) for values in zip(*points, strict=True))
    over = sum((size - middle) * (time - level) for size, time in points)
    return round(float(over / sum((size - middle) ** 2 for size, _ in points)), 2)
