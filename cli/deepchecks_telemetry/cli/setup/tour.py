"""`tour`: demonstrate recording, preview, sending and wiping in a temporary directory, by the commands of a user."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import click

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.setup.sandbox import Sandbox
from deepchecks_telemetry.collector import running
from deepchecks_telemetry.spool import catalogue
from deepchecks_telemetry.uploader.offline.bundle import read_rows

EVENTS = {"package-import": 1, "run-check": 2, "run-suite": 1, "suite-to-html": 1, "suite-to-json": 1}

RECORD_EVENTS = """
from deepchecks_telemetry.spool import record
for name in {events!r}:
    assert record(name), name
"""
USE_DEEPCHECKS = """
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

    Records events, shows and previews them, sends them to a receiver on this machine, compares what was sent and
    received, and wipes everything. Your own spool and settings are not used. Exits with 1 if a step fails.

    \b
    Example:
      deepchecks telemetry tour
    """
    with tempfile.TemporaryDirectory(prefix="deepchecks-telemetry-tour-") as folder:
        sandbox = Sandbox(Path(folder))
        sandbox.echo("A tour in a temporary directory. Your own choice and opt-outs are neither used nor changed.\n")
        _record(sandbox)
        with running(Path(folder) / "received.db") as url:
            _send(sandbox, url)
        _disable(sandbox)
    sandbox.echo("\nDone: recorded, shown, sent, compared and wiped. The temporary directory is removed.")


def _record(sandbox: Sandbox) -> None:
    if find_spec("deepchecks") and find_spec("sklearn"):
        sandbox.echo("1. A program uses deepchecks: two checks, a suite, its result as HTML and JSON.")
        sandbox.run_script(USE_DEEPCHECKS)
    else:
        sandbox.echo(
            "1. deepchecks is not installed here, so a program records the events that it would have recorded."
        )
        sandbox.run_script(RECORD_EVENTS.format(events=[name for name, count in EVENTS.items() for _ in range(count)]))
    sandbox.run("status")
    sandbox.echo("\n2. The pending counts:")
    sandbox.run("inspect")
    pending = json.loads(sandbox.run("inspect", "--json", show=False))
    _expect("pending counts", _sum((row["event"], row["count"]) for row in pending), EVENTS)


def _send(sandbox: Sandbox, url: str) -> None:
    sandbox.echo("\n3. Nothing was sent yet, because there is no built-in endpoint. Set one, on this machine:")
    sandbox.run("enable", "--endpoint", url)
    sandbox.echo("\n4. The exact body of the next request, before it is sent:")
    body = sandbox.run("preview", show=False)
    click.echo(f"{body[:300].decode()}... ({len(body)} bytes)")
    sandbox.echo("\n5. Send it, and check that `sent` shows the same bytes afterwards:")
    sandbox.run("flush")
    if sandbox.run("sent", "1", show=False) != body:
        raise CliError("The tour stopped: the sent bytes differ from the previewed bytes.")
    _expect(
        "digests", hashlib.sha256(body).hexdigest(), json.loads(sandbox.run("sent", "--json", show=False))[0]["sha256"]
    )
    sandbox.echo("\n6. What the receiver stored, each row once:")
    store = str(sandbox.folder / "received.db")
    sandbox.run("collector", "report", "--store", store)
    received = json.loads(sandbox.run("collector", "report", "--store", store, "--json", show=False))
    events = {name: cell["events"] for name, cell in received["fields"]["event"].items()}
    _expect("received counts", events, EVENTS)
    _expect("previewed counts", _sum((row.event, row.count) for row in read_rows(body)), EVENTS)


def _disable(sandbox: Sandbox) -> None:
    sandbox.echo("\n7. Turn it off for every environment, and check that no recorded data is left:")
    sandbox.run_script(RECORD_EVENTS.format(events=["run-check"]))
    sandbox.run("disable")
    files = [path for path in sandbox.folder.glob("home/**/*") if path.is_file()]
    names = [event.name.encode() for event in catalogue.EVENTS]
    _expect("files with recorded data", [path.name for path in files if any(map(path.read_bytes().count, names))], [])


def _expect(what: str, actual: object, expected: object) -> None:
    """Print that both were compared; stop the tour if they differ."""
    if actual != expected:
        raise CliError(f"The tour stopped: {what} is {actual}, not {expected}.")
    click.secho(f"  checked: {what}", fg="cyan")


def _sum(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for name, count in pairs:
        sums[name] += count
    return dict(sums)
