"""`status`: on or off, who decided, what leaves this machine and where to, what was recorded, and what to type."""

from dataclasses import asdict
from typing import Any

import click

from deepchecks_telemetry.cli.choose import without_variables
from deepchecks_telemetry.cli.errors import Failure, tell
from deepchecks_telemetry.cli.explain import SILENT, Answer, explain, is_told
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
from deepchecks_telemetry.spool.consent.decision import (
    DEFAULT_CHOICE,
    LOCAL,
    OFF,
    ON,
    POLICY,
    SWITCHES,
    Decision,
    decide,
)
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Accounts, explain_dropped, read_accounts
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint

LABEL = 16  # letters before what a line of figures says
COUNTS = ("recorded", "pending", "sealed", "delivered", "exported", "rejected")


@click.command()
@click.option("--explain", "explained", is_flag=True, help="Also list every source that was asked, and its answer.")
@json_option
def status(*, explained: bool, as_json: bool) -> None:
    """Is it on, who decided, what waits, where would it go?

    Where the spool cannot be read, or the endpoint is no URL, it says what it knows and exits with 1.

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


def read_status(home: Home) -> tuple[dict[str, Any], tuple[Answer, ...]]:
    """What `status --json` prints, and each source's answer; counts are None where the spool cannot be read."""
    books, tries, unread = _read(home)
    decision = decide(home, closed=lambda: books.closed)
    # A spool that was edited by hand can hold bytes there.
    attached = books.attached_endpoint if isinstance(books.attached_endpoint, str) else None
    endpoint, wrong = _endpoint(home, attached)
    problem = unread or wrong
    told = tell(problem) if problem else None
    barrier = barrier_of(home, decision, endpoint)
    facts = {
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "reason": decision.reason,
        "sends": barrier is None,
        "barrier": barrier,
        **_environment(),
        "endpoint": endpoint and endpoint.url,
        "endpoint_from": endpoint and endpoint.source,
        **{name: None if unread else getattr(books, name) for name in COUNTS},
        "dropped": None if unread else sum(books.dropped.values()),
        "dropped_by_reason": books.dropped,
        "rows": None if unread else books.rows,
        "batches": None if unread else books.batches,
        "installation_id": books.installation_id,
        "spool": home.spool,
        "last_upload": _last(tries),
        "next_upload": time_text(books.next_upload) if barrier is None else None,
        "problem": told and told.message,
    }
    return facts, explain(home, decision, attached)


def barrier_of(home: Home, decision: Decision, endpoint: Endpoint | None) -> str | None:
    """Why nothing leaves this machine by itself; None where it does."""
    if decision.mode != ON:
        return f"telemetry is {decision.mode}"
    if endpoint is None:
        return "no endpoint is set"
    return None if is_told(home, endpoint) else "you were not told of the endpoint yet"


def _read(home: Home) -> tuple[Accounts, list[Batch], SpoolError | None]:
    try:
        return read_accounts(home), batches(home), None
    except FileNotFoundError:
        return Accounts(), [], None
    except SpoolError as error:
        return Accounts(), [], error


def _endpoint(home: Home, attached: str | None) -> tuple[Endpoint | None, BadEndpoint | None]:
    try:
        return find_endpoint(home, attached), None
    except BadEndpoint as error:
        return None, error


def _environment() -> dict[str, Any]:
    """Of this virtual environment: whether it is attached, and the identifier that deepchecks' own call left in it."""
    from deepchecks_telemetry.hooks import installed_file, old_user_id

    left = old_user_id()
    return {"attached": installed_file() is not None, "old_identifier": left and str(left)}


def _last(tries: list[Batch]) -> dict[str, Any] | None:
    tried = [batch for batch in tries if isinstance(batch.tried_at, int)]
    last = max(tried, key=lambda batch: batch.tried_at or 0, default=None)
    return (
        None if last is None else {"at": time_text(last.tried_at), "outcome": last.outcome, "endpoint": last.endpoint}
    )


def lines(facts: dict[str, Any]) -> list[str]:
    """What `status` prints: the answer first, then the figures, then what to type."""
    last = facts["last_upload"]
    return [
        f"Telemetry is {facts['mode']}: decided by {facts['decided_by']}{_why(facts)}.",
        sending(facts),
        "",
        *(_count_lines(facts) if facts["recorded"] is not None else ["  recorded      unknown"]),
        f"  endpoint      {_where(facts)}",
        f"  last upload   {tried(last) if last else 'never'}",
        f"  next upload   {facts['next_upload'] or 'none planned'}",
        f"  installation  {facts['installation_id'] or 'no identifier'}",
        f"  environment   {'attached' if facts['attached'] else 'not attached'}",
        *([f"  left over     {facts['old_identifier']}: see doctor"] if facts["old_identifier"] else []),
        f"  spool         {facts['spool']}",
        "",
        *_advice(facts),
    ]


def _why(facts: dict[str, Any]) -> str:
    """Why a source counts as off although it does not say so."""
    return f", which counts as off: {facts['reason']}" if facts["reason"] else ""


def tried(last: dict[str, Any]) -> str:
    """When the last request was, and what became of it."""
    return f"{last['at']}, {last['outcome'] or 'no answer yet'}"


def sending(facts: dict[str, Any]) -> str:
    """Whether anything leaves, in one sentence."""
    if facts["sends"]:
        return f"Counts are sent from this machine to {facts['endpoint']}."
    return f"Nothing is sent from this machine: {facts['barrier']}."


def _count_lines(facts: dict[str, Any]) -> list[str]:
    waiting = f"{count_text(facts['pending'] + facts['sealed'], 'event')} in {count_text(facts['rows'], 'row')}"
    rest = "    ".join(f"{name} {number_text(facts[name])}" for name in ("exported", "rejected", "dropped"))
    batches = f", {number_text(facts['sealed'])} of them sealed" if facts["sealed"] else ""
    return [
        f"  recorded      {count_text(facts['recorded'], 'event')}",
        f"  waiting       {waiting}{batches}",
        f"  delivered     {number_text(facts['delivered'])}    {rest}",
        *([f"  dropped       {explain_dropped(facts['dropped_by_reason'])}"] if facts["dropped"] else []),
    ]


def _where(facts: dict[str, Any]) -> str:
    return f"{facts['endpoint']} ({facts['endpoint_from']})" if facts["endpoint"] else "none"


def _advice(facts: dict[str, Any]) -> list[str]:
    look = "See all of it:        deepchecks telemetry view"
    wipe = "Turn it off, wiping:  deepchecks telemetry disable"
    return {
        ON: [look, wipe],
        LOCAL: [look, wipe, f"Turn it on:           {_remedy(facts['decided_by'])}"],
        OFF: [f"Turn it on:  {_remedy(facts['decided_by'])}"],
    }[facts["mode"]]


def _remedy(decided_by: str) -> str:
    if decided_by == POLICY:
        return "only your administrator can"
    if decided_by == DEFAULT_CHOICE:
        return f"{without_variables()} deepchecks telemetry enable"
    return f"unset {decided_by}" if decided_by in SWITCHES else "deepchecks telemetry enable"


def _say_answers(answers: tuple[Answer, ...]) -> None:
    for question, rule in RULES.items():
        click.echo()
        say_line(rule)
        asked = [answer for answer in answers if answer.question == question]
        say_table(("source", "answer", "where"), [(each.source, each.answer or SILENT, each.where) for each in asked])


RULES = {
    "mode": "Who was asked for the mode; off anywhere is off, else local anywhere is local:",
    "endpoint": "Who was asked for the endpoint; the first that names one counts:",
}
