"""Rows for the tests of reports, and the numbers of a report counted in another way: row by row, with sets."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

from deepchecks_telemetry.collector import Options
from deepchecks_telemetry.collector.otlp import Row
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, Environment

DAY = date(2025, 11, 24)
VERSIONS = ("0.18.1", "0.19.0", "0.19.1")
EXPORTS = {"check-to-html", "suite-to-html", "suite-to-json", "suite-to-wandb"}
FIELDS: dict[str, Callable[[Row], str]] = {
    "event": lambda row: row.event,
    "version": lambda row: row.environment.deepchecks_version,
    "os": lambda row: row.environment.os_name,
    "python": lambda row: row.environment.python_version,
    "runtime": lambda row: row.environment.runtime,
}
Stored = tuple[Row, date]  # a row and the day of its receipt


def some_rows(number: int, *, installations: int = 30, days: int = 70, seed: int = 7) -> list[Row]:
    """Rows of the last days before `DAY`; some installations are rare, so that small counts occur."""
    chance = random.Random(seed)

    def row(uid: int) -> Row:
        values = (
            *(chance.choice(VERSIONS), "linux", chance.choice(["debian", "ubuntu", "fedora"]), "12", "cpython"),
            *(chance.choice(["3.10", "3.11"]), chance.choice(["script", "jupyter", "ci"])),
        )
        who = min(chance.randrange(installations), chance.randrange(installations))
        day = (DAY - timedelta(days=chance.randrange(days))).isoformat()
        event, count = chance.choice(list(EVENT_NUMBERS)), chance.randint(1, 99)
        return Row(str(UUID(int=uid)), day, event, count, Environment(*values), str(UUID(int=who)))

    return [row(uid) for uid in range(number)]


def start_of(by: str, day: date) -> date:
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[by]


def following(by: str, start: date) -> date:
    return start_of(by, start + timedelta(days={"day": 1, "week": 7, "month": 31}[by]))


def periods_of(by: str, first: date, last: date) -> Iterable[date]:
    while first <= last:
        yield first
        first = following(by, first)


def late(days: int) -> str:
    bounds = ((1, "0-1 days"), (7, "2-7 days"), (30, "8-30 days"), (90, "31-90 days"))
    return next((name for bound, name in bounds if days <= bound), "over 90 days")


class Count:
    """The numbers of a report with these options, where the day of the report is after all rows."""

    def __init__(self, stored: list[Stored], options: Options, today: date) -> None:
        self.options, self.today, self.all = options, today, stored
        self.chosen = [
            (row, received)
            for row, received in stored
            if options.event in (None, row.event) and options.version in (None, row.environment.deepchecks_version)
        ]
        active = self.active(options.by)
        shown = [period for period, who in active.items() if self.least(who)]
        by = options.by
        self.first = start_of(by, options.since) if options.since else min(shown, default=None)
        last = options.until or max(shown, default=None)
        self.last = following(by, start_of(by, last)) - timedelta(days=1) if last else None

    def least(self, who: Iterable[str]) -> int:
        number = len(set(who))
        return number - number % self.options.min_cell

    def active(self, by: str) -> dict[date, set[str]]:
        seen: dict[date, set[str]] = defaultdict(set)
        for row, _ in self.chosen:
            seen[start_of(by, date.fromisoformat(row.day))].add(row.installation_id)
        return seen

    def activity(self, by: str, period: date) -> list[int | None]:
        seen = self.active(by)
        before = set().union(*(who for other, who in seen.items() if other < period))
        now, former = seen.get(period, set()), seen.get(start_of(by, period - timedelta(days=1)), set())
        lost = self.least(former - now) if following(by, period) <= self.today else None
        return [self.least(now), self.least(now - before), self.least(now & before), lost]

    def adoption(self, period: date) -> dict[str, int]:
        last: dict[str, tuple[str, str]] = {}
        for row, _ in self.chosen:
            if start_of(self.options.by, date.fromisoformat(row.day)) == period:
                seen = (row.day, row.environment.deepchecks_version)
                last[row.installation_id] = max(last.get(row.installation_id, ("", "")), seen)
        of = {version: [who for who, (_, seen) in last.items() if seen == version] for version in VERSIONS}
        return {version: number for version, who in of.items() if (number := self.least(who))}

    def retention(self) -> dict[str, list[int]]:
        assert self.first is not None
        assert self.last is not None
        seen, cohorts = self.active(self.options.by), {}
        for first in periods_of(self.options.by, self.first, self.last):
            new = seen.get(first, set()) - set().union(*(who for other, who in seen.items() if other < first))
            later = periods_of(self.options.by, first, min(self.last, self.today))
            if self.least(new):
                cohorts[first.isoformat()] = [self.least(new & seen.get(period, set())) for period in later]
        return cohorts

    def recent(self) -> list[Stored]:
        assert self.first is not None
        assert self.last is not None
        first = self.first if self.options.since else max(self.first, min(self.last, self.today) - timedelta(days=27))
        return [one for one in self.chosen if first <= date.fromisoformat(one[0].day) <= self.last]

    def cell(self, stored: Iterable[Stored]) -> tuple[int | None, int | None, int]:
        stored = list(stored)
        number = self.least(row.installation_id for row, _ in stored)
        if self.options.min_cell > 1:
            return (None, None, number)
        return (sum(row.count for row, _ in stored), len(stored), number)

    def by(self) -> dict[str, dict[str, Any]]:
        fields = {name: self._cells(lambda row, _, key=key: key(row)) for name, key in FIELDS.items()}
        fields["lateness"] = self._cells(lambda row, received: late((received - date.fromisoformat(row.day)).days))
        return {name: {v: cell for v, cell in cells.items() if cell[2]} for name, cells in fields.items()}

    def _cells(self, key: Callable[..., str]) -> dict[str, Any]:
        groups: dict[str, list[Stored]] = defaultdict(list)
        for row, received in self.recent():
            groups[key(row, received)].append((row, received))
        return {value: self.cell(group) for value, group in groups.items()}

    def folded(self) -> dict[str, int]:
        by = self.by()
        return {
            name: self.least(row.installation_id for row, _ in self.recent() if key(row) not in by[name])
            for name, key in FIELDS.items()
        }

    def pairs(self) -> dict[tuple[str, str], dict[str, dict[str, int]]]:
        by = self.by()
        return {
            (one, two): {a: {b: self._both(one, a, two, b) for b in by[two]} for a in by[one]}
            for one, two in combinations(FIELDS, 2)
        }

    def _both(self, one: str, a: str, two: str, b: str) -> int:
        chosen = (row for row, _ in self.recent() if FIELDS[one](row) == a and FIELDS[two](row) == b)
        return self.least(row.installation_id for row in chosen)

    def funnel(self) -> list[int]:
        did: dict[str, set[str]] = defaultdict(set)
        for row, _ in self.recent():
            did[row.installation_id].add(row.event)
        steps: list[set[str]] = [{"package-import"}, {"run-check", "run-suite"}, EXPORTS]
        return [
            self.least(who for who, events in did.items() if all(events & step for step in steps[: number + 1]))
            for number in range(3)
        ]
