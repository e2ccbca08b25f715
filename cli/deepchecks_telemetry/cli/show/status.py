"""`status`: whether telemetry is on, why, what is pending, where it would be sent, and the next commands."""

import time
from dataclasses import asdict
from typing import Any

import click

from deepchecks_telemetry.cli.errors import CliError, to_cli_error
from deepchecks_telemetry.cli.output import (
    count_text,
    echo_json,
    echo_line,
    json_option,
    number_text,
    time_text,
)
from deepchecks_telemetry.cli.show.explain import Answer, echo_answers, explain, unknown_modes
from deepchecks_telemetry.hooks.builtin_telemetry import old_user_id
from deepchecks_telemetry.hooks.pth.file import installed_file
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON, decide
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.states import BatchState
from deepchecks_telemetry.spool.stats import Accounts, explain_dropped, read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.plan.decision import Command, plan, retry_after
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.plan.text import summarize
from deepchecks_telemetry.uploader.wire.causes import remedy_for

DOCUMENTATION = "https://github.com/deepchecks/deepchecks-telemetry/tree/main/docs"
INDENT = 16  # columns before the value of a labelled line
COUNTS = ("recorded", "pending", "sealed", "parked", "delivered", "exported", "rejected")


@click.command()
@click.option("--short", is_flag=True, help="Print only the mode: on, local (count, but upload nothing) or off.")
@click.option(
    "--explain", "explained", is_flag=True, help="For each setting, also list every source and the value that it gives."
)
@json_option
def status(*, short: bool, explained: bool, as_json: bool) -> None:
    """Show whether telemetry is on, why, and what is pending.

    Also shows where counts are sent, and the time of the last and of the next upload. Exits with 1 if the spool (the
    SQLite file with the counts) cannot be read, or the endpoint is invalid; everything else is still shown.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry status --short
      deepchecks telemetry status --explain
      deepchecks telemetry status --json
    """
    if short and (explained or as_json):
        raise click.UsageError("--short cannot be combined with --explain or --json.")
    report, answers = read_status(find_home())
    if short:
        click.echo(report["mode"])
    elif as_json:
        echo_json(report | ({"sources": list(map(asdict, answers))} if explained else {}))
    else:
        for line in _lines(report):
            echo_line(line, indent=INDENT if line.startswith(" ") else 0)
        if explained:
            echo_answers(answers)
    if report["problem"]:
        raise CliError(report["problem"])


def read_status(home: Home) -> tuple[dict[str, Any], tuple[Answer, ...]]:
    """The report of `status --json`, and the value of each source; counts are None if the spool cannot be read."""
    now = time.time()
    accounts, ledger, unreadable = _read(home)
    facts = read_facts(home, now)
    planned = plan(facts, Command.REPORT, now)
    queue = facts.queue
    identifier = old_user_id()
    decision = decide(home, closed=lambda: queue.fence_closed)
    failed: Exception | None = unreadable
    if failed is None and facts.invalid_endpoint is not None:
        failed = BadEndpoint(facts.invalid_endpoint, facts.endpoint_source)
    problem = to_cli_error(failed) if failed else None
    report = {
        "mode": facts.mode,
        "decided_by": facts.decided_by,
        "not_understood": list(map(asdict, unknown_modes(home, decision))),
        "sends": planned.sends_automatically,
        "sending": summarize(planned),
        "blocked_by": planned.blocked_by and planned.blocked_by.value,
        "reason": planned.reason,
        "remedy": planned.remedy,
        "attached": installed_file() is not None,
        "old_identifier": identifier and str(identifier),
        "endpoint": planned.endpoint and planned.endpoint.url,
        "endpoint_from": planned.endpoint and planned.endpoint.source,
        **{name: None if unreadable else getattr(accounts, name) for name in COUNTS},
        "dropped": None if unreadable else sum(accounts.dropped.values()),
        "dropped_by_reason": accounts.dropped,
        "rows": None if unreadable else accounts.rows,
        "batches": None if unreadable else accounts.batches,
        "parked_batches": None if unreadable else queue.parked_batches,
        "installation_id": accounts.installation_id,
        "spool": home.spool,
        "last_upload": _last_upload(ledger),
        "next_upload": time_text(planned.next_upload),
        "retry_after": time_text(retry_after(facts, now)),
        "problem": problem and problem.message,
    }
    return report, explain(home, decision, queue.attached_endpoint)


def _read(home: Home) -> tuple[Accounts, list[Batch], SpoolError | None]:
    try:
        return read_accounts(home), batches(home), None
    except SpoolError as error:
        return Accounts(), [], error


def _last_upload(ledger: list[Batch]) -> dict[str, Any] | None:
    tried = [batch for batch in ledger if isinstance(batch.tried_at, int)]
    last = max(tried, key=lambda batch: (batch.tried_at or 0, batch.id), default=None)
    if last is None:
        return None
    failed = last.state in (BatchState.SEALED, BatchState.PARKED) and last.outcome is not None
    remedy = remedy_for(str(last.outcome)) if failed else None
    return {"at": time_text(last.tried_at), "outcome": last.outcome, "endpoint": last.endpoint, "remedy": remedy}


def _lines(report: dict[str, Any]) -> list[str]:
    """The lines of `status`: mode and sending first, then the figures, then the next commands."""
    last = report["last_upload"]
    endpoint = f"{report['endpoint']} (set by {report['endpoint_from']})" if report["endpoint"] else "none"
    return [
        f"Telemetry is {report['mode']}: decided by {report['decided_by']}.",
        report["sending"],
        *(
            f"Also off because of {unknown['source']}: {unknown['problem']}."
            for unknown in report["not_understood"]
            if unknown["source"] != report["decided_by"]  # which the first line names
        ),
        "",
        *(_count_lines(report) if report["recorded"] is not None else ["  recorded      unknown"]),
        f"  endpoint      {endpoint}",
        f"  last upload   {last_attempt(last) if last else 'never'}",
        f"  next upload   {next_upload(report)}",
        f"  installation  {report['installation_id'] or 'no identifier'}",
        f"  environment   {'attached' if report['attached'] else 'not attached'}",
        *(
            [f"  left over     {report['old_identifier']} (see deepchecks telemetry doctor)"]
            if report["old_identifier"]
            else []
        ),
        f"  spool         {report['spool']}",
        "",
        *_advice(report),
        f"Documentation:        {DOCUMENTATION}",
    ]


def last_attempt(last: dict[str, Any]) -> str:
    """The time of the last request, its receiver and its outcome."""
    host = host_text(last["endpoint"])
    return f"{last['at']}{f', {host}' if host else ''}: {last['outcome'] or 'outcome unknown'}"


def host_text(endpoint: object) -> str:
    """The host of a stored endpoint; the whole text where it is a directory, or was edited by hand."""
    return Endpoint(str(endpoint), "").host or str(endpoint) if endpoint else ""


def next_upload(report: dict[str, Any]) -> str:
    """When the automatic upload is due."""
    if report["next_upload"]:
        return f"at the first import of deepchecks after {report['next_upload']}"
    return "scheduled at the next import of deepchecks" if report["sends"] else "not scheduled"


def _count_lines(report: dict[str, Any]) -> list[str]:
    rest = "    ".join(f"{name} {number_text(report[name])}" for name in ("exported", "rejected", "dropped"))
    parked = f"{count_text(report['parked'], 'event')} in {count_text(report['parked_batches'], 'batch')}"
    return [
        f"  recorded      {count_text(report['recorded'], 'event')}",
        f"  pending       {count_text(report['pending'], 'event')}",
        *([f"  sealed        {count_text(report['sealed'], 'event')}"] if report["sealed"] else []),
        *([f"  parked        {parked}"] if report["parked_batches"] else []),
        f"  delivered     {number_text(report['delivered'])}    {rest}",
        *([f"  dropped       {explain_dropped(report['dropped_by_reason'])}"] if report["dropped"] else []),
    ]


def _advice(report: dict[str, Any]) -> list[str]:
    commands = [
        "See all data:         deepchecks telemetry view",
        "Turn off and wipe:    deepchecks telemetry disable",
    ]
    if report["mode"] != ON:
        remedies = {unknown["source"]: unknown["remedy"] for unknown in report["not_understood"]}
        remedy = remedies.get(report["decided_by"], report["remedy"])
        return [*(commands if report["mode"] == LOCAL else []), f"Turn on:              {remedy}"]
    last = report["last_upload"] and report["last_upload"]["remedy"]
    failed = [f"The last upload:      {last}"] if last else []
    send = [f"Send the counts:      {report['remedy']}"] if report["remedy"] else []
    return [*failed, *send, *commands]
