"""Counts the rows of a range by each field, by each pair of fields, and by how far installations came (the funnel)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import combinations, groupby
from operator import attrgetter, itemgetter, or_
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.groups import Category, Rows, Source
from deepchecks_telemetry.collector.reporting.rounding import Cell, rounded, rounded_cell
from deepchecks_telemetry.collector.tables.schema import EXPORTS, IMPORT, RUNS
from deepchecks_telemetry.collector.tables.sums import LATENESS
from deepchecks_telemetry.spool.catalogue import Environment

FUNNEL = {"imported": (IMPORT,), "ran a check or suite": RUNS, "exported a result": EXPORTS}


class Sum:
    """Rows with the same value; their installations are a set, as `Source.bits_of` returns it."""

    __slots__ = ("events", "installations", "rows")

    def __init__(self, events: int = 0, rows: int = 0, installations: int = 0) -> None:
        self.events, self.rows, self.installations = events, rows, installations

    def add(self, other: "Sum") -> None:
        """Add other rows."""
        self.events += other.events
        self.rows += other.rows
        self.installations |= other.installations

    def cell(self) -> Cell:
        """The counts, each installation once."""
        return Cell(self.events, self.rows, self.installations.bit_count())


ENVIRONMENT: dict[str, Callable[[Environment], str]] = {
    "version": attrgetter("deepchecks_version"),
    "os": attrgetter("os_name"),
    "python": attrgetter("python_version"),
    "runtime": attrgetter("runtime"),
}
FIELDS = ("event", *ENVIRONMENT)


class Sums:
    """All rows, and those with the same value of a field, with the same lateness, and with the same pair of values.

    The rows of an event in an environment are added up before they are added to those of other environments: with ten
    million rows that saves some hundred thousand unions of sets.
    """

    def __init__(self) -> None:
        self.total = Sum()
        self.values = {name: defaultdict[str, Sum](Sum) for name in (*FIELDS, "lateness")}
        self.pairs = {pair: defaultdict[tuple[str, str], Sum](Sum) for pair in combinations(FIELDS, 2)}

    def add_environment(self, environment: Environment, sums: Iterable[tuple[Category, Sum]]) -> None:
        """Add the rows of an environment, sorted by event."""
        fields = {name: field(environment) for name, field in ENVIRONMENT.items()}
        whole = Sum()
        for event, of_event in groupby(sums, key=lambda one: one[0].event):
            whole.add(self._add_event(event, fields, of_event))
        for name, value in fields.items():
            self.values[name][value].add(whole)
        for one, other in combinations(fields, 2):
            self.pairs[one, other][fields[one], fields[other]].add(whole)
        self.total.add(whole)

    def _add_event(self, event: str, fields: Mapping[str, str], sums: Iterable[tuple[Category, Sum]]) -> Sum:
        whole = Sum()
        for category, part in sums:
            self.values["lateness"][category.lateness].add(part)
            whole.add(part)
        self.values["event"][event].add(whole)
        for name, value in fields.items():
            self.pairs["event", name][event, value].add(whole)
        return whole


class Composition(NamedTuple):
    """The counts of a range; `folded` has the installations whose values are not shown, because few have them."""

    total: Cell
    by: dict[str, dict[str, Cell]]
    pairs: dict[tuple[str, str], dict[str, dict[str, int]]]
    funnel: dict[str, int]
    folded: dict[str, int]


def read_composition(source: Source, first: int, last: int) -> Composition:
    """The counts from the first to the last day."""
    sums, least = _read_sums(source, first, last), source.options.min_cell
    by = {name: _shown(sums.values[name], least) for name in (*FIELDS, "lateness")}
    by["lateness"] = {value: by["lateness"][value] for value in LATENESS if value in by["lateness"]}
    return Composition(
        total=rounded_cell(sums.total.cell(), least),
        by=by,
        pairs={pair: _pair(seen, by[pair[0]], by[pair[1]], least) for pair, seen in sums.pairs.items()},
        funnel={} if source.options.event else _funnel(sums.values["event"], least),
        folded={name: _folded(sums.values[name], by[name], least) for name in FIELDS},
    )


def _read_sums(source: Source, first: int, last: int) -> Sums:
    sums = Sums()
    categories = sorted(source.by_category(first, last), key=itemgetter(0))
    for environment, of_environment in groupby(categories, key=lambda one: one[0].environment):
        sums.add_environment(environment, ((category, _sum(source, rows)) for category, rows in of_environment))
    return sums


def _sum(source: Source, rows: Rows) -> Sum:
    return Sum(rows.events, rows.rows, source.bits_of(rows.installations))


def _shown(values: Mapping[str, Sum], least: int) -> dict[str, Cell]:
    """The values with enough installations, most frequent first, in an order that depends only on what is shown."""
    cells = {value: rounded_cell(one.cell(), least) for value, one in values.items()}
    shown = {value: cell for value, cell in cells.items() if cell.installations}
    return dict(sorted(shown.items(), key=lambda item: (-item[1].installations, -(item[1].events or 0), item[0])))


def _folded(values: Mapping[str, Sum], shown: dict[str, Cell], least: int) -> int:
    hidden = (one.installations for value, one in values.items() if value not in shown)
    return rounded(reduce(or_, hidden, 0).bit_count(), least)


def _pair(
    seen: defaultdict[tuple[str, str], Sum], rows: Iterable[str], columns: Iterable[str], least: int
) -> dict[str, dict[str, int]]:
    return {a: {b: rounded(seen[a, b].installations.bit_count(), least) for b in columns} for a in rows}


def _funnel(events: Mapping[str, Sum], least: int) -> dict[str, int]:
    """The installations of each step that also made all steps before it."""
    steps, left = {}, -1  # the set of all numbers
    for step, names in FUNNEL.items():
        left &= reduce(or_, (events[name].installations for name in names if name in events), 0)
        steps[step] = rounded(left.bit_count(), least)
    return steps
