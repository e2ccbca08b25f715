"""The fleet's SQL accepts exactly what the catalogue and the embedded collector allow."""

import json
import re
from pathlib import Path

import pytest

from deepchecks_telemetry.collector.otlp import MAX_AGE, MAX_COUNT
from deepchecks_telemetry.collector.reporting.composition import FIELDS as FIELDS_OF_REPORT
from deepchecks_telemetry.collector.reporting.composition import FUNNEL
from deepchecks_telemetry.collector.tables.sums import LATENESS
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS, Field

FLEET = Path(__file__).parents[2] / "collector" / "fleet"
pytestmark = pytest.mark.skipif(not FLEET.is_dir(), reason="the fleet's files are in the checkout, not in the wheel")


def schema() -> str:
    return (FLEET / "schema.sql").read_text("utf-8")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_is_checked_with_the_pattern_of_the_catalogue(field: Field) -> None:
    pattern = field.pattern.replace("\\", "\\\\")
    assert f"match({field.name}, '^({pattern})$')" in schema()
    assert f"ResourceAttributes['{field.wire}'] AS {field.name}," in schema()


def test_the_events_and_limits_are_those_of_the_catalogue() -> None:
    listed = re.search(r"event IN \((.*?)\)", schema())
    assert listed is not None
    assert listed[1] == ", ".join(f"'deepchecks.{event.name}'" for event in EVENTS)
    assert f"BETWEEN 1 AND {MAX_COUNT}\n" in schema()
    assert (
        f"INTERVAL {MAX_AGE.days + 1} DAY" in schema()
    )  # one day more, because schema.sql compares times and not days


def queries() -> dict[str, str]:
    """The queries of report.sql by their names."""
    return dict(re.findall(r"-- name: (\w+)\n(.*?);\n", (FLEET / "report.sql").read_text("utf-8"), re.DOTALL))


def test_the_queries_are_those_of_the_report() -> None:
    pairs = ("event_by_runtime", "version_by_python")
    history = ("week", "month", "adoption", "retention", "funnel")
    assert list(queries()) == ["total", *history, *FIELDS_OF_REPORT, "lateness", *pairs, "daily", "refused"]
    assert all(f"'{value}'" in queries()["lateness"] for value in LATENESS)
    steps = [re.sub(r"[(),']", "", str(names)) for names in FUNNEL.values()]
    assert all(event in queries()["funnel"] for names in steps for event in names.split())


def test_the_dashboard_has_the_queries_of_the_report_in_the_range_of_the_dashboard() -> None:
    panels = json.loads((FLEET / "grafana.json").read_text("utf-8"))["panels"]
    expected = {sql.replace("day > today() - 28", "$__dateFilter(day)") for sql in queries().values()}
    assert [
        target["rawSql"] for panel in panels for target in panel["targets"] if target["rawSql"] not in expected
    ] == []
    assert len(panels) == len(queries()) - 1  # all but `daily`, which has the same numbers as the others
    for panel in panels:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["datasource"]["uid"] == "${datasource}"
