"""The fleet's SQL accepts exactly what the catalogue and the embedded collector allow."""

import re
from pathlib import Path

import pytest

from deepchecks_telemetry.collector.otlp import MAX_AGE, MAX_COUNT
from deepchecks_telemetry.collector.reporting.query import BY, LATENESS
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


def test_the_queries_are_those_of_the_report() -> None:
    queries = (FLEET / "report.sql").read_text("utf-8")
    names = re.findall(r"^-- name: (\w+)$", queries, re.MULTILINE)
    assert names == ["total", *BY, "retention", "daily", "refused"]
    assert all(f"'{value}'" in queries for value in LATENESS)
