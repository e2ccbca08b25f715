"""`status`: whether telemetry is on, why, what is pending, where it would be sent, and what to type."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import click

from deepchecks_telemetry.cli.errors import Failure, tell
from deepchecks_telemetry.cli.explain import SILENT, Answer, explain, unknown_modes
from deepchecks_telemetry.cli.output import (
    count_text,
    json_option,
    number_text,
    say_json,
    say_line,
    say_table,
    time_text,
)
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON, decide
from deepchecks_telemetry.spool.db.schema import BatchState
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Accounts, explain_dropped, read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.plan.decision import Command, Facts, plan, retry_after
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.plan.text import summarize
from deepchecks_telemetry.uploader.wire.causes import remedy_for

LABEL = 16  # letters before what a line of figures says
COUNTS = ("recorded", "pending", "sealed", "parked", "delivered", "exported", "rejected")


@click.command()
@click.option("--explain", "explained", is_flag=True, help="Also list every source of each setting, and its value.")
@json_option
def status(*, explained: bool, as_json: bool) -> None:
    """Show whether telemetry is on, why, and what is pending.

    Also shows where counts are sent, and when. If the spool cannot be read, or the endpoint is invalid, prints what is
    known and exits with 1.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry status --explain
      deepchecks telemetry status --json
    """
    facts, answers = read_status(find_home())
    if as_json:
        say_json(facts | ({"sources": list(map(asdict, answers))} if explained else {}))
    else:
        for line in lines(facts):
            say_line(line, indent=LABEL if line.startswith(" ") else 0)
        if explained:
            _say_answers(answers)
    if facts["problem"]:
        raise Failure(facts["problem"])


def read_status(home: Home, *, clock: Callable[[], float] = time.time) -> tuple[dict[str, Any], tuple[Answer, ...]]:
    """What `status --json` prints, and each source's answer; counts are None where the spool cannot be read."""
    now = clock()
    books, tries, unread = _read(home)
    facts = read_facts(home, now)
    planned = plan(facts, Command.REPORT, now)
    queue = facts.queue
    decision = decide(home, closed=lambda: queue.fence_closed)
    problem = tell(unread) if unread else _endpoint_problem(facts)
    wait = retry_after(facts, now)
    status = {
        "mode": facts.mode,
        "decided_by": facts.decided_by,
        "not_understood": list(map(asdict, unknown_modes(home, decision))),
        "sends": planned.sends_automatically,
        "sending": summarize(planned),
        "blocked_by": planned.blocked_by and planned.blocked_by.value,
        "reason": planned.reason,
        "remedy": planned.remedy,
        **_environment(),
        "endpoint": planned.endpoint and planned.endpoint.url,
        "endpoint_from": planned.endpoint and planned.endpoint.source,
        **{name: None if unread else getattr(books, name) for name in COUNTS},
        "dropped": None if unread else sum(books.dropped.values()),
        "dropped_by_reason": books.dropped,
        "rows": None if unread else books.rows,
        "batches": None if unread else books.batches,
        "parked_batches": None if unread else queue.parked_batches,
        "installation_id": books.installation_id,
        "spool": home.spool,
        "last_upload": _last(tries),
        "next_upload": time_text(planned.next_upload),
        "retry_after": time_text(wait),
        "problem": problem and problem.message,
    }
    return status, explain(home, decision, queue.attached_endpoint)


def _endpoint_problem(facts: Facts) -> Failure | None:
    if facts.invalid_endpoint is None:
        return None
    return tell(BadEndpoint(facts.invalid_endpoint, facts.endpoint_source))


def _read(home: Home) -> tuple[Accounts, list[Batch], SpoolError | None]:
    try:
        return read_accounts(home), batches(home), None
    except FileNotFoundError:
        return Accounts(), [], None
    except SpoolError as error:
        return Accounts(), [], error


def _environment() -> dict[str, Any]:
    """Of this virtual environment: whether it is attached, and the identifier that deepchecks' own call left in it."""
    from deepchecks_telemetry.hooks import installed_file, old_user_id

    left = old_user_id()
    return {"attached": installed_file() is not None, "old_identifier": left and str(left)}


def _last(tries: list[Batch]) -> dict[str, Any] | None:
    tried = [batch for batch in tries if isinstance(batch.tried_at, int)]
    last = max(tried, key=lambda batch: (batch.tried_at or 0, batch.id), default=None)
    if last is None:
        return None
    failed = last.state in (BatchState.SEALED, BatchState.PARKED) and last.outcome is not None
    remedy = remedy_for(str(last.outcome)) if failed else None
    return {"at": time_text(last.tried_at), "outcome": last.outcome, "endpoint": last.endpoint, "remedy": remedy}


def lines(facts: dict[str, Any]) -> list[str]:
    """What `status` prints: the answer first, then the figures, then what to type."""
    last = facts["last_upload"]
    return [
        f"Telemetry is {facts['mode']}: decided by {facts['decided_by']}.",
        facts["sending"],
        *_also_off(facts),
        "",
        *(_count_lines(facts) if facts["recorded"] is not None else ["  recorded      unknown"]),
        f"  endpoint      {_where(facts)}",
        f"  last upload   {tried(last) if last else 'never'}",
        f"  next upload   {next_upload(facts)}",
        f"  installation  {facts['installation_id'] or 'no identifier'}",
        f"  environment   {'attached' if facts['attached'] else 'not attached'}",
        *(
            [f"  left over     {facts['old_identifier']} (see deepchecks telemetry doctor)"]
            if facts["old_identifier"]
            else []
        ),
        f"  spool         {facts['spool']}",
        "",
        *_advice(facts),
    ]


def _also_off(facts: dict[str, Any]) -> Iterator[str]:
    """Each further source that counts as off although it does not say so; the one that decided is in the sentence."""
    for unknown in facts["not_understood"]:
        if unknown["source"] != facts["decided_by"]:
            yield f"Also off because of {unknown['source']}: {unknown['problem']}."


def tried(last: dict[str, Any]) -> str:
    """When the last request was, to which receiver, and what became of it."""
    host = host_text(last["endpoint"])
    return f"{last['at']}{f', {host}' if host else ''}: {last['outcome'] or 'outcome unknown'}"


def host_text(endpoint: object) -> str:
    """The host of a stored endpoint; the text itself where it is a directory, or was edited by hand."""
    return Endpoint(str(endpoint), "").host or str(endpoint) if endpoint else ""


def next_upload(facts: dict[str, Any]) -> str:
    """When the automatic upload is due."""
    if facts["next_upload"]:
        return f"at the first import of deepchecks after {facts['next_upload']}"
    return "scheduled at the next import of deepchecks" if facts["sends"] else "not scheduled"


def _count_lines(facts: dict[str, Any]) -> list[str]:
    rest = "    ".join(f"{name} {number_text(facts[name])}" for name in ("exported", "rejected", "dropped"))
    parked = f"{count_text(facts['parked'], 'event')} in {count_text(facts['parked_batches'], 'batch')}"
    return [
        f"  recorded      {count_text(facts['recorded'], 'event')}",
        f"  pending       {count_text(facts['pending'], 'event')}",
        *([f"  sealed        {count_text(facts['sealed'], 'event')}"] if facts["sealed"] else []),
        *([f"  parked        {parked}"] if facts["parked_batches"] else []),
        f"  delivered     {number_text(facts['delivered'])}    {rest}",
        *([f"  dropped       {explain_dropped(facts['dropped_by_reason'])}"] if facts["dropped"] else []),
    ]


def _where(facts: dict[str, Any]) -> str:
    return f"{facts['endpoint']} (set by {facts['endpoint_from']})" if facts["endpoint"] else "none"


def _advice(facts: dict[str, Any]) -> list[str]:
    look = "See all data:         deepchecks telemetry view"
    wipe = "Turn off and wipe:    deepchecks telemetry disable"
    last = facts["last_upload"] and facts["last_upload"]["remedy"]
    failed = [f"The last upload:      {last}"] if last else []
    if facts["mode"] != ON:
        known = [unknown["remedy"] for unknown in facts["not_understood"] if unknown["source"] == facts["decided_by"]]
        remedy = known[0] if known else facts["remedy"]
        return [*([look, wipe] if facts["mode"] == LOCAL else []), f"Turn on:              {remedy}"]
    send = [f"Send the counts:      {facts['remedy']}"] if facts["remedy"] else []
    return [*failed, *send, look, wipe]


def _say_answers(answers: tuple[Answer, ...]) -> None:
    for question, rule in RULES.items():
        click.echo()
        say_line(rule)
        asked = [answer for answer in answers if answer.question == question]
        say_table(("source", "answer", "where"), [(each.source, each.answer or SILENT, each.where) for each in asked])


RULES = {
    "mode": "Sources of the mode; the most restrictive one wins (off, then local, then on):",
    "endpoint": "Sources of the endpoint; the first one that is set wins:",
}
