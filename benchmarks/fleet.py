"""Simulates the load of a million installations, with a sample and the client's own scheduling, also after an outage.

    python benchmarks/fleet.py [FILE]     # a minute; prints one JSON document; docs/fleet.md shows it

Installations are independent, so a sample represents all. The constants below are the assumptions.
"""

import gzip
import json
import random
import statistics
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import Environment
from deepchecks_telemetry.uploader.schedule import DAY_S, first_due, next_due, retry_due
from deepchecks_telemetry.uploader.wire.otlp import render

FLEET, SAMPLE = 1_000_000, 30_000
START = 20_000 * DAY_S + 4 * DAY_S  # a Monday, 00:00 UTC
DAYS, OUTAGE = 18, (8, 10)  # two days in the second week, Tuesday and Wednesday
BUCKET_S = 600  # some 200 requests of the sample; in shorter intervals the peak would be random
PEOPLE, IMPORTS_OF_A_PERSON, IMPORTS_OF_A_SERVICE = 0.7, 5, 24  # a working day of eight hours; a day around the clock
ZONES_H = (-8, -5, -5, 0, 1, 1, 1, 2, 5, 8, 9)
ROWS_OF_AN_ACTIVE_DAY = 3


class World(NamedTuple):
    """Whether installations differ in the time of day of their id, and in the random part of the back-off."""

    phase: bool
    jitter: bool


WORLDS = {
    "phase and jitter (the client)": World(phase=True, jitter=True),
    "phase, no jitter": World(phase=True, jitter=False),
    "jitter, no phase": World(phase=False, jitter=True),
    "neither": World(phase=False, jitter=False),
}
Moments = Iterator[float]
ALWAYS = -1.0  # an installation that imports continuously, and tries as soon as it is due


def main() -> None:
    """Simulate every world with imports like those of people and services, and with continuous imports."""
    figures: dict[str, Any] = {"installations": FLEET, "sample": SAMPLE, "bucket_s": BUCKET_S}
    figures["as people and services import"] = {name: _simulate(world, _imports) for name, world in WORLDS.items()}
    figures["all at once as they are due"] = {name: _simulate(world, _always) for name, world in WORLDS.items()}
    figures["a_year"] = _year(figures["as people and services import"]["phase and jitter (the client)"])
    text = json.dumps(figures, indent=2)
    print(text)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(text + "\n", "utf-8")


def _simulate(world: World, moments: Callable[[random.Random], Moments]) -> dict[str, Any]:
    chance = random.Random(11)
    arrived: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for _ in range(SAMPLE):
        installation = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        draw = chance.random if world.jitter else lambda: 1.0
        for moment, accepted in _attempts(
            installation if world.phase else str(uuid.UUID(int=0)), moments(chance), draw
        ):
            (arrived if accepted else refused)[int(moment - START) // BUCKET_S] += 1
    return _shape(arrived, refused)


def _attempts(installation: str, moments: Moments, draw: Callable[[], float]) -> Iterator[tuple[float, bool]]:
    """The time and success of each attempt, as the client schedules them: at an import, if an upload is due."""
    due, failures = first_due(START - 2 * DAY_S, installation), 0  # installed two days before
    for moment in moments:
        now = due if moment == ALWAYS else moment
        if now >= START + DAYS * DAY_S:
            return
        if now < due:
            continue
        accepted = not OUTAGE[0] * DAY_S <= now - START < OUTAGE[1] * DAY_S
        yield now, accepted
        if accepted and failures:
            yield now, True  # the sealed batch was sent first; the events since then are another batch
        due = next_due(now, installation) if accepted else retry_due(now, failures, draw=draw)
        failures = 0 if accepted else failures + 1


def _always(_: random.Random) -> Moments:
    return repeat(ALWAYS)


def _imports(chance: random.Random) -> Moments:
    """The times at which an installation imports deepchecks."""
    if chance.random() >= PEOPLE:
        moment = float(START)
        while True:
            moment += chance.expovariate(IMPORTS_OF_A_SERVICE / DAY_S)
            yield moment
    opens = START + (9 - chance.choice(ZONES_H)) * 3_600
    for day in range(DAYS):
        if day % 7 < 5:
            yield from sorted(opens + day * DAY_S + chance.random() * 8 * 3_600 for _ in range(IMPORTS_OF_A_PERSON))


def _shape(arrived: Counter[int], refused: Counter[int]) -> dict[str, Any]:
    """The accepted requests: mean and peak of a usual week, and the peak after the outage, as ratios."""
    a_day = DAY_S // BUCKET_S
    usual = [arrived[bucket] for bucket in range(a_day, 8 * a_day)]
    after = [arrived[bucket] for bucket in range(OUTAGE[1] * a_day, (OUTAGE[1] + 3) * a_day)]
    mean = statistics.fmean(usual)
    return {
        "requests_a_day": round(mean * a_day * FLEET / SAMPLE),
        "mean_a_second": round(mean * FLEET / SAMPLE / BUCKET_S, 1),
        "usual_peak_to_mean": round(max(usual) / mean, 1),
        "peak_to_mean_after_outage": round(max(after) / mean, 1),
        "peak_a_second_after_outage": round(max(after) * FLEET / SAMPLE / BUCKET_S, 1),
        "first_hour_after_outage_to_mean": round(statistics.fmean(after[: 3_600 // BUCKET_S]) / mean, 1),
        "tries_in_vain_a_day_of_outage": round(sum(refused.values()) / 2 * FLEET / SAMPLE),
    }


def _year(usual: dict[str, Any]) -> dict[str, Any]:
    """The load of a year: simulated requests, with the rows and bytes of a real request."""
    body = _request()
    requests_a_year = usual["requests_a_day"] * 365
    return {
        "rows_of_an_active_day": ROWS_OF_AN_ACTIVE_DAY,
        "requests": requests_a_year,
        "rows_a_day": usual["requests_a_day"] * ROWS_OF_AN_ACTIVE_DAY,
        "rows": requests_a_year * ROWS_OF_AN_ACTIVE_DAY,
        "body_bytes": len(body),
        "gzip_bytes": len(gzip.compress(body)),
        "gzip_gigabytes": round(len(gzip.compress(body)) * requests_a_year / 1e9, 1),
    }


def _request() -> bytes:
    environment = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    events = ("package-import", "run-check", "run-suite")
    return render(str(uuid.uuid4()), [Row(str(uuid.uuid4()), 20_000, event, environment, 35) for event in events])


if __name__ == "__main__":
    main()
