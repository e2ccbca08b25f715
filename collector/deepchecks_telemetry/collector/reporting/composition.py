"""Counts the rows of a range by each field, by each pair of fields, and by how far installations came (the funnel)."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from deepchecks_telemetry.collector.reporting.rounding import Cell, rounded, rounded_cell
from deepchecks_telemetry.collector.reporting.rows import Source
from deepchecks_telemetry.collector.tables.schema import EXPORTS, IMPORT, RUNS
from deepchecks_telemetry.collector.tables.sums import LATENESS, LATER, Group, lateness
from deepchecks_telemetry.spool.catalogue import Environment

FUNNEL = {"imported": (IMPORT,), "ran a check or suite": RUNS, "exported a result": EXPORTS}
_COLUMNS = "event, environment, received_day - day, installation, CAST(count AS INTEGER)"
# A store that was edited by hand can have any type in any column.
_EVENTS = "SELECT number, CAST(name AS TEXT) FROM events"
_ENVIRONMENTS = f"SELECT id, {', '.join(f'CAST({name} AS TEXT)' for name in Environment._fields)} FROM environments"  # noqa: S608


class Kind(NamedTuple):
    """What rows have in common."""

    event: str
    environment: Environment
    lateness: str


Groups = dict[Kind, Group]
Values = dict[str, Group]
FIELDS: dict[str, Callable[[Kind], str]] = {
    "event": lambda kind: kind.event,
    "version": lambda kind: kind.environment.deepchecks_version,
    "os": lambda kind: kind.environment.os_name,
    "python": lambda kind: kind.environment.python_version,
    "runtime": lambda kind: kind.environment.runtime,
}
PAIRS = tuple(combinations(FIELDS, 2))


class Composition(NamedTuple):
    """The counts of a range; `folded` has the installations whose values are not shown, because few have them."""

    total: Cell
    by: dict[str, dict[str, Cell]]
    pairs: dict[tuple[str, str], dict[str, dict[str, int]]]
    funnel: dict[str, int]
    folded: dict[str, int]


def read_composition(source: Source, first: int, last: int) -> Composition:
    """The counts from the first to the last day."""
    groups = _read_groups(source, first, last)
    values = {name: _united(groups, key) for name, key in FIELDS.items()}
    late = _united(groups, lambda kind: kind.lateness)
    least = source.options.min_cell
    by = {name: _shown(groups_of, least) for name, groups_of in values.items()}
    lateness_shown = _shown(late, least)
    by["lateness"] = {value: lateness_shown[value] for value in (*LATENESS.values(), LATER) if value in lateness_shown}
    return Composition(
        total=rounded_cell(_cell(_united(groups, lambda _: "").get("", Group())), least),
        by=by,
        pairs={pair: _pair(groups, by, pair, least) for pair in PAIRS},
        funnel={} if source.options.event else _funnel(values["event"], least),
        folded={name: _folded(values[name], by[name], least) for name in FIELDS},
    )


def _read_groups(source: Source, first: int, last: int) -> Groups:
    kinds: defaultdict[tuple[int, int, int], Group] = defaultdict(Group)
    for _, event, environment, late, installation, count in source.rows(_COLUMNS, first, last):
        group = kinds[event, environment, late]
        group.events += count
        group.rows += 1
        group.installations.add(installation)
    return _named(source.connection, kinds)


def _named(connection: sqlite3.Connection, kinds: dict[tuple[int, int, int], Group]) -> Groups:
    events = dict(connection.execute(_EVENTS))
    environments = {number: Environment(*values) for number, *values in connection.execute(_ENVIRONMENTS)}
    groups: Groups = {}
    for (event, environment, late), group in kinds.items():
        if event in events and environment in environments:  # otherwise the store was edited by hand
            kind = Kind(events[event], environments[environment], lateness(late))
            groups.setdefault(kind, Group()).add(group)
    return groups


def _united(groups: Groups, key: Callable[[Kind], str]) -> Values:
    values: Values = {}
    for kind, group in groups.items():
        values.setdefault(key(kind), Group()).add(group)
    return values


def _cell(group: Group) -> Cell:
    """The counts, each installation once."""
    return Cell(group.events, group.rows, len(group.installations))


def _shown(values: Values, least: int) -> dict[str, Cell]:
    """The values with enough installations, most frequent first, in an order that depends only on what is shown."""
    cells = {value: rounded_cell(_cell(group), least) for value, group in values.items()}
    shown = {value: cell for value, cell in cells.items() if cell.installations}
    return dict(sorted(shown.items(), key=lambda item: (-item[1].installations, -(item[1].events or 0), item[0])))


def _folded(values: Values, shown: dict[str, Cell], least: int) -> int:
    hidden = (group.installations for value, group in values.items() if value not in shown)
    return rounded(len(set[int]().union(*hidden)), least)


def _pair(
    groups: Groups, by: dict[str, dict[str, Cell]], pair: tuple[str, str], least: int
) -> dict[str, dict[str, int]]:
    seen: dict[tuple[str, str], set[int]] = {}
    for kind, group in groups.items():
        one, two = (FIELDS[name](kind) for name in pair)
        seen.setdefault((one, two), set()).update(group.installations)
    rows, columns = (by[name] for name in pair)
    return {a: {b: rounded(len(seen.get((a, b), ())), least) for b in columns} for a in rows}


def _funnel(events: Values, least: int) -> dict[str, int]:
    """The installations of each step that also made all steps before it."""
    steps, left = {}, None
    for step, names in FUNNEL.items():
        did = set[int]().union(*(events[name].installations for name in names if name in events))
        left = did if left is None else left & did
        steps[step] = rounded(len(left), least)
    return steps
