"""The page of what is collected agrees with the catalogue, the targets and the requests."""

import json
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.cli.show.catalogue import ENVELOPE
from deepchecks_telemetry.hooks.targets import TARGETS
from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS, Environment
from deepchecks_telemetry.uploader.wire.otlp import render

PAGE = (Path(__file__).parents[2] / "docs" / "what-we-collect.md").read_text("utf-8")
SHAPE = {"resourceLogs", "scopeLogs", "logRecords", "resource", "attributes", "key", "value", "stringValue", "intValue"}
NAMED = {field.wire for field in (*FIELDS, *ENVELOPE)}


def names(value: Any) -> set[str]:
    """Every key of a request, and the name of every attribute."""
    if isinstance(value, list):
        return set().union(*map(names, value))
    if not isinstance(value, dict):
        return set()
    inner = set().union(*(names(item) for key, item in value.items() if key != "scope"))
    return inner | value.keys() | ({value["key"]} if "key" in value else set())


def test_the_page_says_when_an_event_is_counted_and_why_a_field_is_collected() -> None:
    rows = [f"| `{event.name}` | {event.when} |\n" for event in EVENTS]
    rows += [f"| `{field.wire}` | {field.why} |\n" for field in ENVELOPE]
    assert [row for row in rows if row not in PAGE] == []
    lines = {line.split(" | ")[0]: line for line in PAGE.splitlines()}
    for field in FIELDS:
        _, wire, allowed, why = lines[f"| `{field.name}`"].removesuffix(" |").split(" | ")
        assert (wire, why) == (f"`{field.wire}`", field.why)
        words = field.pattern.replace("|", "\\|") if allowed[0] == "`" else field.pattern.replace("\\-", "-").split("|")
        assert allowed == (f"`{words}`" if allowed[0] == "`" else ", ".join(words))


@pytest.mark.parametrize("word", [*(event.name for event in EVENTS), *(field.name for field in FIELDS), *sorted(NAMED)])
def test_the_page_names_each_event_field_and_name_of_the_wire(word: str) -> None:
    assert f"| `{word}` |" in PAGE


def test_a_request_has_no_name_that_is_not_on_the_page() -> None:
    environment = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
    request = json.loads(render("an id", [Row("a uid", 20_000, event.name, environment, 1) for event in EVENTS]))
    assert names(request) - SHAPE == NAMED
    assert set(request["resourceLogs"][0]["scopeLogs"][0]["scope"]) == {"name", "version"}


def test_every_event_of_a_target_is_on_the_page() -> None:
    events = {target.event for target in TARGETS if target.event}
    assert events
    assert events <= {event.name for event in EVENTS}
