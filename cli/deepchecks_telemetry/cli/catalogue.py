"""`catalogue`: everything that may ever be recorded or sent, why, and what it would be here today.

The page docs/what-we-collect.md is written by `as_markdown`, so the command and the page cannot differ.
"""

from collections.abc import Iterator
from typing import NamedTuple

import click

from deepchecks_telemetry.cli.output import json_option, say_json, say_table
from deepchecks_telemetry.spool.catalogue import EVENTS, FIELDS


class Beside(NamedTuple):
    """What goes along with every count and is no field of the environment."""

    name: str
    wire: str
    why: str


ENVELOPE = (
    Beside("service", "service.name", "always deepchecks, so that a receiver can tell services apart"),
    Beside(
        "installation",
        "app.installation.id",
        "random; tells installations apart; replaced after disable and every year",
    ),
    Beside("event", "eventName", "one of the events above, with the prefix deepchecks and a dot"),
    Beside("day", "timeUnixNano", "the start of the UTC day; no time of day is ever stored"),
    Beside("count", "deepchecks.event.count", "how often it happened on that day"),
    Beside("row", "log.record.uid", "random; a receiver can drop repeated rows, so that nothing is counted twice"),
    Beside(
        "sender", "scope", "deepchecks_telemetry and its version, so that counts of a faulty version can be corrected"
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
    here = _here()
    beside = _beside()
    if as_json:
        say_json(
            {
                "events": [{"name": event.name, "when": event.when} for event in EVENTS],
                "fields": [
                    {"name": field.name, "opentelemetry": field.wire, "why": field.why, "here": here[field.name]}
                    for field in FIELDS
                ],
                "envelope": [
                    {"name": each.name, "opentelemetry": each.wire, "why": each.why, "here": beside[each.name]}
                    for each in ENVELOPE
                ],
            }
        )
        return
    say_table(("event", "counted when"), [(event.name, event.when) for event in EVENTS])
    for title, known, values in (("field", FIELDS, here), ("sent with each count", ENVELOPE, beside)):
        click.echo()
        heads = (title, "OpenTelemetry name", "value here", "why")
        say_table(heads, [(each.name, each.wire, values[each.name], each.why) for each in known])
    click.echo("\nNothing else is recorded or sent.")


def _here() -> dict[str, str]:
    from deepchecks_telemetry.spool.consent import resource as environment

    return environment.current()._asdict()


def _beside() -> dict[str, str]:
    from importlib.metadata import version

    from deepchecks_telemetry.cli.status import read_status
    from deepchecks_telemetry.spool.files.paths import find_home

    installation = read_status(find_home())[0]["installation_id"] or "none yet"
    own = f"deepchecks_telemetry {version('deepchecks-telemetry')}"
    told = {"service": "deepchecks", "installation": installation, "sender": own}
    return {each.name: told.get(each.name, "") for each in ENVELOPE}


def as_markdown() -> str:
    """The catalogue as the tables of docs/what-we-collect.md; without a value of any machine."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "\n## Events\n\n| event | counted when |\n|---|---|"
    yield from (f"| `{event.name}` | {event.when} |" for event in EVENTS)
    yield "\n## Fields\n\n| field | OpenTelemetry name | allowed values | why |\n|---|---|---|---|"
    yield from (f"| `{field.name}` | `{field.wire}` | {_allowed(field.pattern)} | {field.why} |" for field in FIELDS)
    yield "\n## Sent with each count\n\n| what | OpenTelemetry name | why |\n|---|---|---|"
    yield from (f"| {each.name} | `{each.wire}` | {each.why} |" for each in ENVELOPE)
    yield ""


def _allowed(pattern: str) -> str:
    """A closed list as its words, a pattern as it stands; a bar would end a cell of the table."""
    words = pattern.replace("\\-", "-").split("|")
    if all(word.replace("-", "").isalnum() for word in words):
        return ", ".join(words)
    return "`" + pattern.replace("|", "\\|") + "`"
