"""`tour`: an event's whole way on this machine, in a throwaway folder, by the commands a reader would type."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.walk import Walk
from deepchecks_telemetry.spool import catalogue as catalog

EVENTS = {"package-import": 1, "run-check": 2, "run-suite": 1, "suite-to-html": 1, "suite-to-json": 1}

THROUGH_RECORD = """
from deepchecks_telemetry.spool import record
for name in {events!r}:
    assert record(name), name
"""
THROUGH_DEEPCHECKS = """
from deepchecks_telemetry.hooks import attach
attach()
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import DataDuplicates, IsSingleValue
from deepchecks.tabular.suites import data_integrity
iris = Dataset(load_iris(as_frame=True).frame, label="target", cat_features=[])
IsSingleValue().run(iris)
DataDuplicates().run(iris)
result = data_integrity().run(iris)
result.save_as_html("suite.html")
result.to_json()
"""


@click.command()
def tour() -> None:
    """Demonstrate every step in a temporary directory.

    Records events, shows and previews them, sends them to a receiver on this machine, compares, disables and cleans up.
    Your own spool and choice are not touched. Exits with 1 if a step fails.

    \b
    Example:
      deepchecks telemetry tour
    """
    from deepchecks_telemetry.collector import running

    with tempfile.TemporaryDirectory(prefix="deepchecks-telemetry-tour-") as folder:
        walk = Walk(Path(folder))
        walk.say("A tour in a temporary directory. Your own choice and opt-outs are neither used nor changed.\n")
        _record(walk)
        with running(Path(folder) / "received.db") as url:
            _send(walk, url)
        _disable(walk)
    walk.say("\nDone: recorded, shown, sent, compared and wiped. The temporary directory is removed.")


def _record(walk: Walk) -> None:
    if find_spec("deepchecks") and find_spec("sklearn"):
        walk.say("1. A program uses deepchecks: two checks, a suite, its result as HTML and JSON.")
        walk.script(THROUGH_DEEPCHECKS)
    else:
        walk.say("1. deepchecks is not installed here, so a program records the events that it would have recorded.")
        walk.script(THROUGH_RECORD.format(events=[name for name, count in EVENTS.items() for _ in range(count)]))
    walk.run("status")
    walk.say("\n2. The pending counts:")
    walk.run("inspect")
    waiting = json.loads(walk.run("inspect", "--json", show=False))
    _expect("pending counts", _waiting(waiting), EVENTS)


def _send(walk: Walk, url: str) -> None:
    walk.say("\n3. Nothing was sent yet, because there is no built-in endpoint. Set one, on this machine:")
    walk.run("enable", "--endpoint", url)
    walk.say("\n4. The exact body of the next request, before it is sent:")
    body = walk.run("preview", show=False)
    click.echo(f"{body[:300].decode()}... ({len(body)} bytes)")
    walk.say("\n5. Send it, and check that `sent` shows the same bytes afterwards:")
    walk.run("flush")
    if walk.run("sent", "1", show=False) != body:
        raise Failure("The tour stopped: the sent bytes differ from the previewed bytes.")
    _expect(
        "digests", hashlib.sha256(body).hexdigest(), json.loads(walk.run("sent", "--json", show=False))[0]["sha256"]
    )
    walk.say("\n6. What the receiver stored, each row once:")
    store = str(walk.folder / "received.db")
    walk.run("collector", "report", "--store", store)
    received = json.loads(walk.run("collector", "report", "--store", store, "--json", show=False))
    _expect("received counts", received["by_event"], EVENTS)
    _expect("previewed counts", _previewed(body), EVENTS)


def _disable(walk: Walk) -> None:
    walk.say("\n7. Turn it off for every environment, and check that no recorded data is left:")
    walk.script(THROUGH_RECORD.format(events=["run-check"]))
    walk.run("disable")
    files = [path for path in walk.folder.glob("home/**/*") if path.is_file()]
    _expect("files with recorded data", [path.name for path in files if _names_an_event(path.read_bytes())], [])


def _names_an_event(content: bytes) -> bool:
    return any(event.name.encode() in content for event in catalog.EVENTS)


def _expect(what: str, found: object, wanted: object) -> None:
    """Stop the tour unless both agree; the reader sees that it was looked at."""
    if found != wanted:
        raise Failure(f"The tour stopped: {what} is {found}, not {wanted}.")
    click.secho(f"  checked: {what}", fg="cyan")


def _waiting(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return _sum((row["event"], row["count"]) for row in rows)


def _previewed(body: bytes) -> dict[str, int]:
    """The counts in a request, read as any receiver would."""
    records = [
        record
        for resource in json.loads(body)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    return _sum((record["eventName"].removeprefix("deepchecks."), _count(record)) for record in records)


def _count(record: Mapping[str, Any]) -> int:
    values = {attribute["key"]: attribute["value"] for attribute in record["attributes"]}
    return int(values["deepchecks.event.count"]["intValue"])


def _sum(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for name, count in pairs:
        sums[name] += count
    return dict(sums)
