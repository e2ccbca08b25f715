"""`doctor`: one line for each check, with the remedy; the exit code is 1 if a problem is found."""

import dataclasses
import os
import time
from collections.abc import Iterator

import click

from deepchecks_telemetry.cli.output import count_text, echo_json, echo_line, json_option
from deepchecks_telemetry.cli.show.status import host_text
from deepchecks_telemetry.hooks.builtin_telemetry import old_user_id, remove_user_id
from deepchecks_telemetry.hooks.compatibility import deepchecks_folder, missing_targets
from deepchecks_telemetry.hooks.pth.file import stale_file
from deepchecks_telemetry.hooks.targets import TARGETS
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, Finding, examine
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.plan.text import change_endpoint, summarize
from deepchecks_telemetry.uploader.wire.causes import AUTOMATIC, remedy_for

MARKS = {OK: ("ok", "green"), WARNING: ("note", "yellow"), WRONG: ("WRONG", "red")}


@click.command()
@click.option(
    "--remove-identifier",
    is_flag=True,
    help="Before the checks, remove the identifier that deepchecks' own telemetry left.",
)
@json_option
def doctor(*, remove_identifier: bool, as_json: bool) -> None:
    """Check for problems, and print how to fix them.

    Exits with 1 if a problem is found.

    \b
    Examples:
      deepchecks telemetry doctor
      deepchecks telemetry doctor --json
    """
    if remove_identifier:
        removed = remove_user_id()
        echo_line(
            f"Removed {removed}." if removed else "There is no identifier of deepchecks' own telemetry.", err=True
        )
    home = find_home()
    findings = [_shortened(finding) for finding in (*examine(home), *_sending(home, time.time()), *_hooks())]
    if as_json:
        echo_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark, colour = MARKS[finding.level]
            remedy = f" To do: {finding.remedy}." if finding.remedy else ""
            line = f"{mark:5}  {finding.name}: {finding.text}.{remedy}"
            echo_line(line, indent=7, mark=click.style(f"{mark:5}", fg=colour))
    if any(finding.level == WRONG for finding in findings):
        click.get_current_context().exit(1)


def _shortened(finding: Finding) -> Finding:
    """Replace the home directory by ~, because it names a person and the output of doctor is pasted into reports."""
    home = os.path.expanduser("~")
    if home in (os.sep, "~"):
        return finding
    remedy = finding.remedy and finding.remedy.replace(home, "~")
    return dataclasses.replace(finding, text=finding.text.replace(home, "~"), remedy=remedy)


def _sending(home: Home, now: float) -> Iterator[Finding]:
    """The endpoint, what the automatic upload will do, and the outcome of the last attempts."""
    facts = read_facts(home, now)
    if facts.invalid_endpoint is not None:
        problem = f"{facts.invalid_endpoint} (set by {facts.endpoint_source})"
        yield Finding("endpoint", WRONG, problem, change_endpoint(facts.endpoint_source))
    else:
        yield Finding("endpoint", OK, f"set by {facts.endpoint_source}" if facts.endpoint else "not set")
    planned = plan(facts, Command.REPORT, now)
    blocked = planned.blocked_by in (BlockedBy.NOTICE, BlockedBy.RETRY_AFTER, BlockedBy.FUTURE_DAY, BlockedBy.FENCE)
    level, remedy = (WARNING, planned.remedy) if blocked else (OK, None)
    yield Finding("upload", level, summarize(planned).rstrip("."), remedy)
    yield from _attempts(home)


def _attempts(home: Home) -> Iterator[Finding]:
    """Parked batches by cause, and the batch whose last attempt failed."""
    try:
        ledger = batches(home, states=(BatchState.PARKED, BatchState.SEALED))
    except SpoolError:
        return  # the checks of the spool report this
    for (state, outcome, host), events in sorted(_by_cause(ledger).items()):
        text = f"{host or 'no receiver'}: {outcome}"
        if state == BatchState.PARKED:
            number = f"{count_text(sum(events), 'event')} in {count_text(len(events), 'batch')}"
            yield Finding("parked", WRONG, f"{number}; {text}", remedy_for(outcome))
        elif (remedy := remedy_for(outcome)) == AUTOMATIC:
            yield Finding("last upload", WARNING, f"{text}; it is retried automatically")
        else:
            yield Finding("last upload", WARNING, text, remedy)


def _by_cause(ledger: list[Batch]) -> dict[tuple[str, str, str], list[int]]:
    causes: dict[tuple[str, str, str], list[int]] = {}
    for batch in ledger:
        if batch.state == BatchState.PARKED or batch.outcome:
            key = (batch.state, str(batch.outcome or "outcome unknown"), host_text(batch.endpoint))
            causes.setdefault(key, []).append(batch.events)
    return causes


def _hooks() -> Iterator[Finding]:
    """The attach file, the targets in the installed deepchecks, and its old identifier."""
    if stale := stale_file():
        text = f"{stale} has no effect, because deepchecks-telemetry was reinstalled or upgraded after attach"
        yield Finding("attach file", WARNING, text, "deepchecks telemetry attach")
    if deepchecks_folder() is None:
        yield Finding("deepchecks", OK, "not installed in this environment")
        return
    missing = missing_targets()
    if missing:
        names = ", ".join(f"{target.module}.{target.name}" for target in missing)
        yield Finding(
            "targets", WARNING, f"{len(missing)} of {len(TARGETS)} not found in the installed deepchecks: {names}"
        )
    else:
        yield Finding("targets", OK, f"all {len(TARGETS)} found in the installed deepchecks")
    if old_user_id() is not None:
        remedy = "deepchecks telemetry doctor --remove-identifier"
        yield Finding(
            "old identifier", WARNING, "deepchecks' own telemetry left an identifier in this environment", remedy
        )
