"""`catalogue`: everything that can be recorded or sent, why, and its value on this machine.

The page docs/what-we-collect.md is generated from the same tables.
"""

from importlib.metadata import version
from typing import NamedTuple

import click

from deepchecks_telemetry.cli.output import echo_json, echo_table, json_option
from deepchecks_telemetry.cli.show.status import read_status
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS
from deepchecks_telemetry.spool.consent import resource
from deepchecks_telemetry.spool.files.paths import find_home


class EnvelopeField(NamedTuple):
    """What is sent with each count and is not in `FIELDS`."""

    name: str
    wire: str
    why: str


ENVELOPE = (
    EnvelopeField("service", "service.name", "always deepchecks; distinguishes it from other services"),
    EnvelopeField(
        "installation",
        "app.installation.id",
        "random; distinguishes installations; replaced after disable and after a year",
    ),
    EnvelopeField("event", "eventName", "one of the events above, with the prefix deepchecks and a dot"),
    EnvelopeField("day", "timeUnixNano", "the start of the UTC day of the event, not its time"),
    EnvelopeField("count", "deepchecks.event.count", "how often it happened on that day"),
    EnvelopeField("row", "log.record.uid", "random; a receiver can use it to drop rows that it gets twice"),
    EnvelopeField(
        "sender", "scope", "deepchecks_telemetry and its version; a receiver can exclude the counts of a faulty version"
    ),
)


@click.command()
@json_option
def catalogue(*, as_json: bool) -> None:
    """List every event and field that can be recorded, and why.

    \b
    Examples:
      deepchecks telemetry catalogue
      deepchecks telemetry catalogue --json
    """
    groups = (("field", FIELDS, resource.current()._asdict()), ("sent with each count", ENVELOPE, _envelope_values()))
    if as_json:
        events = [{"name": event.name, "when": event.when} for event in EVENTS]
        fields, envelope = (
            [
                {"name": field.name, "opentelemetry": field.wire, "why": field.why, "here": values[field.name]}
                for field in group
            ]
            for _, group, values in groups
        )
        echo_json({"events": events, "fields": fields, "envelope": envelope})
        return
    echo_table(("event", "counted when"), [(event.name, event.when) for event in EVENTS])
    for title, group, values in groups:
        click.echo()
        headers = (title, "OpenTelemetry name", "value here", "why")
        echo_table(headers, [(field.name, field.wire, values[field.name], field.why) for field in group])
    click.echo("\nNothing else is recorded or sent.")


def _envelope_values() -> dict[str, str]:
    installation = read_status(find_home())[0]["installation_id"] or "none yet"
    sender = f"deepchecks_telemetry {version('deepchecks-telemetry')}"
    known = {"service": "deepchecks", "installation": installation, "sender": sender}
    return {field.name: known.get(field.name, "") for field in ENVELOPE}
