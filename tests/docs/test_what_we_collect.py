"""The page of what is collected: code, catalogue, wire and page say the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.cli.catalogue import ENVELOPE, as_markdown
from deepchecks_telemetry.hooks import TARGETS
from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS, Environment
from deepchecks_telemetry.uploader.wire.otlp import render

PAGE = (Path(__file__).parents[2] / "docs" / "what-we-collect.md").read_text("utf-8")
SHAPE = {"resourceLogs", "scopeLogs", "logRecords", "resource", "attributes", "key", "value", "stringValue", "intValue"}
NAMED = {each.wire for each in (*FIELDS, *ENVELOPE)}


def names(found: Any) -> set[str]:
    """Every key of a request, and every name that an attribute bears."""
    if isinstance(found, list):
        return set().union(*map(names, found))
    if not isinstance(found, dict):
        return set()
    inner = set().union(*(names(value) for key, value in found.items() if key != "scope"))
    return inner | found.keys() | ({found["key"]} if "key" in found else set())


def test_the_page_is_generated_from_the_catalogue() -> None:
    assert as_markdown().strip() in PAGE


@pytest.mark.parametrize("word", [*(event.name for event in EVENTS), *(field.name for field in FIELDS), *sorted(NAMED)])
def test_the_page_names_each_event_field_and_name_of_the_wire(word: str) -> None:
    assert f"| `{word}` |" in PAGE


def test_a_request_has_no_name_that_is_not_on_the_page() -> None:
    environment = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    request = json.loads(render("an id", [Row("a uid", 20_000, event.name, environment, 1) for event in EVENTS]))
    assert names(request) - SHAPE == NAMED
    assert set(request["resourceLogs"][0]["scopeLogs"][0]["scope"]) == {"name", "version"}


def test_every_event_of_a_target_is_on_the_page() -> None:
    hung = {target.event for target in TARGETS if target.event}
    assert hung
    assert hung <= {event.name for event in EVENTS}
