"""The numbers of a report equal an independent count of the rows, with all options."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from deepchecks_telemetry import collector
from deepchecks_telemetry.collector import Cell, CollectorError, Options, as_csv, report
from deepchecks_telemetry.collector.errors import ReportError
from deepchecks_telemetry.collector.reporting import groups
from deepchecks_telemetry.collector.store import Store

from .independent import DAY, Count, Stored, periods_of, some_rows

TODAY = DAY + timedelta(days=2)
FEBRUARY, OCTOBER, LATER = date(2025, 2, 3), date(2025, 10, 1), date(2025, 12, 24)
OPTIONS = [
    Options(),
    Options(by="month"),
    Options(since=date(2025, 10, 8), until=date(2025, 11, 11)),
    Options(since=FEBRUARY, until=LATER),
    Options(until=OCTOBER, by="month"),
    Options(since=OCTOBER, by="day"),
    Options(since=date(2025, 10, 6), until=date(2025, 11, 12), by="day"),  # begins with a Monday
    Options(until=date(2025, 11, 11), by="day"),
    Options(event="run-check"),
    Options(event="run-check", version="0.19.0", by="day", since=OCTOBER),
    Options(version="0.19.1", by="month", since=OCTOBER),
    Options(version="0.19.1", by="month", since=date(2025, 10, 20)),  # the range begins weeks before
]


@pytest.fixture(autouse=True)
def several_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range of days is read in several parts."""
    monkeypatch.setattr(groups, "STEP", 100)


@pytest.fixture(scope="module")
def stored() -> list[Stored]:
    """Rows in an order of arrival that is not that of their days, some months late."""
    chance = Random(5)
    rows = [
        (row, min(TODAY, date.fromisoformat(row.day) + timedelta(days=chance.choice([0, 1, 1, 1, 5, 20, 50]))))
        for row in some_rows(900)
    ]
    return sorted(rows, key=lambda one: one[1])


@pytest.fixture(scope="module")
def store(stored: list[Stored], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that is being served."""
    path = tmp_path_factory.mktemp("report") / "store.db"
    with closing(Store(path)) as opened:
        for start in range(0, len(stored), 100):
            for row, received in stored[start : start + 130]:  # some rows arrive twice
                opened.append([row], received=received)
        yield path


@pytest.mark.parametrize("least", [1, 5, 10])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_report_agrees_with_an_independent_count(
    store: Path, stored: list[Stored], options: Options, least: int
) -> None:
    options = options._replace(min_cell=least)
    result = report(store, options, today=TODAY)
    if options.by == "day" and options.since is None:
        assert options.until is not None
        options = options._replace(since=options.until - timedelta(days=30))
    count = Count(stored, options, TODAY)
    shown = [period for period, who in count.active(options.by).items() if count.least(who)]
    if not any(count.first is not None and period >= count.first for period in shown):
        assert (result.since, result.by, result.total.installations) == (None, {}, 0)
        return
    assert count.last is not None
    assert (result.since, result.until) == (count.first, min(count.last, TODAY))
    for kind, periods in result.activity.items():
        assert {period: list(one) for period, one in periods.items()} == {
            period: count.activity(kind, date.fromisoformat(period)) for period in periods
        }, kind
    assert count.first is not None
    chosen = [period.isoformat() for period in periods_of(options.by, count.first, count.last)]
    assert list(result.activity[options.by]) == chosen
    assert result.adoption == {period: count.adoption(date.fromisoformat(period)) for period in chosen}
    assert result.retention == count.retention()
    assert result.by == count.by()
    assert result.pairs == count.pairs()
    assert result.folded == count.folded()
    assert list(result.funnel.values()) == ([] if options.event else count.funnel())
    assert result.recent_total == count.cell(count.recent())
    assert result.total == (count.cell(count.all) if options.whole else result.recent_total)


def test_the_shares_of_versions_are_at_most_100_percent(store: Path) -> None:
    for least in (1, 5):
        result = report(store, Options(min_cell=least), today=TODAY)
        sums = {period: sum(versions.values()) for period, versions in result.adoption.items()}
        assert all(sums[period] <= one.active for period, one in result.activity["week"].items())
        assert (least > 1) == any(sums[period] < one.active for period, one in result.activity["week"].items())


def test_a_period_that_has_not_ended_has_no_lost_installations(store: Path) -> None:
    assert report(store, today=DAY).activity["week"][DAY.isoformat()].lost is None
    assert report(store, today=DAY + timedelta(days=7)).activity["week"][DAY.isoformat()].lost is not None


def test_the_future_has_no_retention_and_no_return_is_zero(tmp_path: Path) -> None:
    (row,) = some_rows(1)
    with closing(Store(tmp_path / "store.db")) as store:
        store.append([row._replace(day="2025-11-03")], received=DAY)
        counts = report(tmp_path / "store.db", Options(until=date(2025, 12, 28)), today=date(2025, 11, 20))
    assert counts.retention == {"2025-11-03": [1, 0, 0]}


def test_of_two_versions_the_last_one_counts_in_any_order_of_arrival(tmp_path: Path) -> None:
    (row,) = some_rows(1)
    days = ("2025-11-05", "2025-11-04", "2025-11-06", "2025-11-03")
    with closing(Store(tmp_path / "store.db")) as store:
        for number, day in enumerate(days):
            environment = row.environment._replace(deepchecks_version=f"0.{day[-1]}.0")
            uid = f"00000000-0000-0000-0000-{number:012}"
            store.append([row._replace(uid=uid, day=day, environment=environment)], received=DAY)
        assert report(tmp_path / "store.db", today=DAY).adoption == {"2025-11-03": {"0.6.0": 1}}


@pytest.mark.parametrize("least", [1, 5])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_versions_are_sorted(store: Path, options: Options, least: int) -> None:
    adoption = report(store, options._replace(min_cell=least), today=TODAY).adoption
    assert [list(versions) for versions in adoption.values()] == [sorted(versions) for versions in adoption.values()]


def test_json_has_all_numbers(store: Path) -> None:
    as_dict = report(store, today=TODAY).as_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    assert set(as_dict) == {
        *("made", "since", "until", "recent", "by", "event", "version", "min_cell", "events", "rows", "installations"),
        *("active", "adoption", "retention", "funnel", "recent_total", "fields", "pairs", "folded"),
    }


def test_the_csv_has_the_same_columns_in_every_line(store: Path) -> None:
    counts = report(store, today=TODAY)
    lines = list(csv.DictReader(io.StringIO(as_csv(counts)), strict=True))
    assert all(None not in line and None not in line.values() for line in lines)
    assert {line["table"] for line in lines} == {
        *("total", "week", "month", "adoption", "retention", "funnel", "folded"),
        *counts.by,
        *(" x ".join(pair) for pair in counts.pairs),
    }
    events = {line["value"]: int(line["events"]) for line in lines if line["table"] == "event"}
    assert events == {event: cell.events for event, cell in counts.by["event"].items()}


@pytest.mark.parametrize("least", [1, 5])
def test_an_empty_store_is_reported_as_empty(tmp_path: Path, least: int) -> None:
    Store(tmp_path / "store.db").close()
    counts = report(tmp_path / "store.db", Options(min_cell=least))
    assert (counts.total, counts.since, counts.by) == (Cell(0, 0, 0) if least == 1 else Cell(None, None, 0), None, {})
    assert as_csv(counts).count("\n") == 2


def test_a_range_may_be_very_long(store: Path) -> None:
    for by in ("day", "week", "month"):
        whole = report(store, Options(since=FEBRUARY, until=DAY, by=by), today=TODAY)
        assert report(store, Options(since=date(2000, 1, 1), until=DAY, by=by), today=TODAY).by == whole.by
    assert report(store, Options(since=date(2, 1, 1), until=date(9998, 12, 31), by="month"), today=TODAY).by == whole.by


@pytest.mark.parametrize(
    "options",
    [
        Options(min_cell=0),
        Options(min_cell=4),
        Options(min_cell=7),
        Options(since=DAY, until=OCTOBER),
        Options(until=date.max),
        Options(until=date.min, by="day"),
        Options(since=date.max),
        Options(by="year"),
        Options(event="run"),
    ],
)
def test_wrong_options_are_refused_in_one_line(store: Path, options: Options) -> None:
    with pytest.raises(ReportError) as refused:
        report(store, options)
    assert "\n" not in str(refused.value)


def test_a_missing_store_is_reported_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="cannot be read"):
        report(tmp_path / "store.db")
    assert not list(tmp_path.iterdir())


def test_the_public_names_are_these() -> None:
    assert collector.__all__ == [
        *("BY", "HOST", "MIN_CELL", "PORT", "Cell", "CollectorError", "Loaded", "Options", "Report"),
        *("ReportError", "as_csv", "load", "reading", "report", "running", "serve", "wording"),
    ]
