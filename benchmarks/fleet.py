"""A million installations, a sample of them simulated with the client's own scheduling: the load, and after an outage.

    python benchmarks/fleet.py [FILE]     # a minute; prints one JSON document; docs/fleet.md shows it

Installations do not wait for one another, so a sample stands for all. What is assumed stands in capitals below.
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
BUCKET_S = 600  # some 200 of the sample's requests: narrower, and the peak is chance
PEOPLE, IMPORTS_OF_A_PERSON, IMPORTS_OF_A_SERVICE = 0.7, 5, 24  # a working day of eight hours; a day around the clock
ZONES_H = (-8, -5, -5, 0, 1, 1, 1, 2, 5, 8, 9)
ROWS_OF_AN_ACTIVE_DAY = 3


class World(NamedTuple):
    """How installations differ from each other: by their id's moment of the day, and by the back-off's draw."""

    phase: bool
    jitter: bool


WORLDS = {
    "phase and jitter (the client)": World(phase=True, jitter=True),
    "phase, no jitter": World(phase=True, jitter=False),
    "jitter, no phase": World(phase=False, jitter=True),
    "neither": World(phase=False, jitter=False),
}
Moments = Iterator[float]
ALWAYS = -1.0  # for an installation that imports at any moment: it tries as soon as it is due


def main() -> None:
    """Simulate every world for those who import as people do, and for those who are always there."""
    figures: dict[str, Any] = {"installations": FLEET, "sample": SAMPLE, "bucket_s": BUCKET_S}
    figures["as people and services import"] = {name: _simulate(world, _imports) for name, world in WORLDS.items()}
    figures["all at once as they are due"] = {name: _simulate(world, _always) for name, world in WORLDS.items()}
    figures["a_year"] = _year(figures["as people and services import"]["phase and jitter (the client)"])
    written = json.dumps(figures, indent=2)
    print(written)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(written + "\n", "utf-8")


def _simulate(world: World, moments: Callable[[random.Random], Moments]) -> dict[str, Any]:
    chance = random.Random(11)
    arrived: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for _ in range(SAMPLE):
        installation = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        draw = chance.random if world.jitter else lambda: 1.0
        for moment, answered in _tries(installation if world.phase else str(uuid.UUID(int=0)), moments(chance), draw):
            (arrived if answered else refused)[int(moment - START) // BUCKET_S] += 1
    return _shape(arrived, refused)


def _tries(installation: str, moments: Moments, draw: Callable[[], float]) -> Iterator[tuple[float, bool]]:
    """The client's own decisions: at an import it tries if it is due, and then it knows when it is due next."""
    due, failures = first_due(START - 2 * DAY_S, installation), 0  # it was there two days before
    for moment in moments:
        now = due if moment == ALWAYS else moment
        if now >= START + DAYS * DAY_S:
            return
        if now < due:
            continue
        answered = not OUTAGE[0] * DAY_S <= now - START < OUTAGE[1] * DAY_S
        yield now, answered
        if answered and failures:
            yield now, True  # the batch that had waited went first; what was recorded since is another
        due = next_due(now, installation) if answered else retry_due(now, failures, draw=draw)
        failures = 0 if answered else failures + 1


def _always(_: random.Random) -> Moments:
    return repeat(ALWAYS)


def _imports(chance: random.Random) -> Moments:
    """When this installation imports deepchecks."""
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
    """Requests that were answered: a usual week's mean and peak, and the peak after the outage, as ratios."""
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
    """What comes in a year: requests as simulated, rows and bytes as measured on a request of ours."""
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
    place = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    events = ("package-import", "run-check", "run-suite")
    return render(str(uuid.uuid4()), [Row(str(uuid.uuid4()), 20_000, event, place, 35) for event in events])


if __name__ == "__main__":
    main()
