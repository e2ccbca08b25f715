"""Counts the rows of a range by each field, by each pair of fields, and by how far installations came (the funnel)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from itertools import combinations
from operator import or_
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.groups import Kind, Source, bits_of
from deepchecks_telemetry.collector.reporting.rounding import Cell, rounded, rounded_cell
from deepchecks_telemetry.collector.tables.schema import EXPORTS, IMPORT, RUNS
from deepchecks_telemetry.collector.tables.sums import LATENESS

FUNNEL = {"imported": (IMPORT,), "ran a check or suite": RUNS, "exported a result": EXPORTS}


class Rows:
    """Rows of one kind: the sum of their events, how many they are, and their installations, in 4 bytes each."""

    __slots__ = ("events", "installations", "rows")

    def __init__(self) -> None:
        self.events, self.rows, self.installations = 0, 0, bytearray()


class Sum:
    """Rows with the same value; their installations are a set, as `bits_of` returns it."""

    __slots__ = ("events", "installations", "rows")

    def __init__(self) -> None:
        self.events, self.rows, self.installations = 0, 0, 0

    def add(self, rows: Rows, installations: int) -> None:
        """Add rows of one kind, with the set of their installations."""
        self.events += rows.events
        self.rows += rows.rows
        self.installations |= installations

    def cell(self) -> Cell:
        """The counts, each installation once."""
        return Cell(self.events, self.rows, self.installations.bit_count())


Values = defaultdict[str, Sum]
FIELDS: dict[str, Callable[[Kind], str]] = {
    "event": lambda kind: kind.event,
    "version": lambda kind: kind.environment.deepchecks_version,
    "os": lambda kind: kind.environment.os_name,
    "python": lambda kind: kind.environment.python_version,
    "runtime": lambda kind: kind.environment.runtime,
}
PAIRS = tuple(combinations(FIELDS, 2))
KEYS: dict[str, Callable[[Kind], str]] = {**FIELDS, "lateness": lambda kind: kind.lateness, "total": lambda _: ""}


class Composition(NamedTuple):
    """The counts of a range; `folded` has the installations whose values are not shown, because few have them."""

    total: Cell
    by: dict[str, dict[str, Cell]]
    pairs: dict[tuple[str, str], dict[str, dict[str, int]]]
    funnel: dict[str, int]
    folded: dict[str, int]


def read_composition(source: Source, first: int, last: int) -> Composition:
    """The counts from the first to the last day."""
    values: dict[str, Values] = {name: defaultdict(Sum) for name in KEYS}
    pairs: dict[tuple[str, str], defaultdict[tuple[str, str], int]] = {pair: defaultdict(int) for pair in PAIRS}
    for kind, rows, installations in _read_kinds(source, first, last):
        for name, key in KEYS.items():
            values[name][key(kind)].add(rows, installations)
        for pair, seen in pairs.items():
            seen[FIELDS[pair[0]](kind), FIELDS[pair[1]](kind)] |= installations
    least = source.options.min_cell
    by = {name: _shown(values[name], least) for name in (*FIELDS, "lateness")}
    by["lateness"] = {value: by["lateness"][value] for value in LATENESS if value in by["lateness"]}
    return Composition(
        total=rounded_cell(values["total"][""].cell(), least),
        by=by,
        pairs={pair: _pair(seen, by[pair[0]], by[pair[1]], least) for pair, seen in pairs.items()},
        funnel={} if source.options.event else _funnel(values["event"], least),
        folded={name: _folded(values[name], by[name], least) for name in FIELDS},
    )


def _read_kinds(source: Source, first: int, last: int) -> Iterator[tuple[Kind, Rows, int]]:
    """The rows of each kind, and the set of their installations."""
    kinds: defaultdict[int, Rows] = defaultdict(Rows)
    for group in source.groups(first, last):
        rows = kinds[group.kind]
        rows.events += group.events
        rows.rows += group.rows
        rows.installations += group.installations
    for kind, rows in kinds.items():
        yield source.kinds[kind], rows, bits_of(source.installations_of(rows.installations), source.most)


def _shown(values: Values, least: int) -> dict[str, Cell]:
    """The values with enough installations, most frequent first, in an order that depends only on what is shown."""
    cells = {value: rounded_cell(group.cell(), least) for value, group in values.items()}
    shown = {value: cell for value, cell in cells.items() if cell.installations}
    return dict(sorted(shown.items(), key=lambda item: (-item[1].installations, -(item[1].events or 0), item[0])))


def _folded(values: Values, shown: dict[str, Cell], least: int) -> int:
    hidden = (group.installations for value, group in values.items() if value not in shown)
    return rounded(reduce(or_, hidden, 0).bit_count(), least)


def _pair(
    seen: Mapping[tuple[str, str], int], rows: Iterable[str], columns: Iterable[str], least: int
) -> dict[str, dict[str, int]]:
    return {a: {b: rounded(seen.get((a, b), 0).bit_count(), least) for b in columns} for a in rows}


def _funnel(events: Values, least: int) -> dict[str, int]:
    """The installations of each step that also made all steps before it."""
    steps, left = {}, -1  # the set of all numbers
    for step, names in FUNNEL.items():
        left &= reduce(or_, (events[name].installations for name in names if name in events), 0)
        steps[step] = rounded(left.bit_count(), least)
    return steps
