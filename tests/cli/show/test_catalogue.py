"""`catalogue`: every event and field, with the values of this machine."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from deepchecks_telemetry.cli.show.catalogue import ENVELOPE
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS

Run = Callable[..., CompletedProcess[str]]


def test_the_catalogue_lists_every_event_and_field_with_the_values_of_this_machine(deepchecks: Run, home: Path) -> None:
    output = json.loads(deepchecks("catalogue", "--json").stdout)
    assert [event["name"] for event in output["events"]] == [event.name for event in EVENTS]
    assert [(field["name"], field["opentelemetry"]) for field in output["fields"]] == [(f.name, f.wire) for f in FIELDS]
    assert all(field.allows(row["here"]) for field, row in zip(FIELDS, output["fields"], strict=True))
    assert [field["opentelemetry"] for field in output["envelope"]] == [field.wire for field in ENVELOPE]
    table = deepchecks("catalogue").stdout
    words = (*(event.name for event in EVENTS), *(field.wire for field in (*FIELDS, *ENVELOPE)))
    assert all(word in table for word in words)
    assert not home.exists()
