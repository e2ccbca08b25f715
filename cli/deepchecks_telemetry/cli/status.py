"""`status`: on or off, who decided, what was recorded, where it is, and where it would go."""

from typing import Any

import click

from deepchecks_telemetry.cli.errors import Failure, tell
from deepchecks_telemetry.cli.show import count_text, json_option, plain, say_json, time_text
from deepchecks_telemetry.spool.accounts import Accounts, read_accounts
from deepchecks_telemetry.spool.consent import LOCAL, OFF, ON, POLICY, SWITCHES, decide
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.ledger import Batch, batches
from deepchecks_telemetry.spool.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint

COUNTS = ("recorded", "pending", "sealed", "delivered", "exported", "rejected")


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """Is it on, who decided, what waits, where would it go?

    Where the spool cannot be read, or the endpoint is no URL, it says what it knows and exits with 1.

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry status --json
    """
    facts = read_status(find_home())
    if as_json:
        say_json(facts)
    else:
        click.echo("\n".join(map(plain, _lines(facts))))
    if facts["problem"]:
        raise Failure(facts["problem"])


def read_status(home: Home) -> dict[str, Any]:
    """What `status --json` prints: counts are None where the spool cannot be read, and `problem` says why."""
    books, tries, unread = _read(home)
    decision = decide(home, closed=lambda: books.closed)
    endpoint, wrong = _endpoint(home, books)
    problem = unread or wrong
    told = tell(problem) if problem else None
    return {
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "attached": _is_attached(),
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
        "next_upload": time_text(books.next_upload) if endpoint and decision.mode == ON else None,
        "problem": told and told.message,
    }


def _read(home: Home) -> tuple[Accounts, list[Batch], SpoolError | None]:
    try:
        return read_accounts(home), batches(home), None
    except FileNotFoundError:
        return Accounts(), [], None
    except SpoolError as error:
        return Accounts(), [], error


def _endpoint(home: Home, books: Accounts) -> tuple[Endpoint | None, BadEndpoint | None]:
    try:
        return find_endpoint(home, books.attached_endpoint), None
    except BadEndpoint as error:
        return None, error


def _is_attached() -> bool:
    from deepchecks_telemetry.hooks import installed_file

    return installed_file() is not None


def _last(tries: list[Batch]) -> dict[str, Any] | None:
    tried = [batch for batch in tries if isinstance(batch.tried_at, int)]
    last = max(tried, key=lambda batch: batch.tried_at or 0, default=None)
    return (
        None if last is None else {"at": time_text(last.tried_at), "outcome": last.outcome, "endpoint": last.endpoint}
    )


def _lines(facts: dict[str, Any]) -> list[str]:
    last = facts["last_upload"]
    return [
        f"Telemetry is {facts['mode']}: decided by {facts['decided_by']}.",
        "",
        *(_count_lines(facts) if facts["recorded"] is not None else ["  recorded      unknown"]),
        f"  endpoint      {_where(facts)}",
        f"  last upload   {last['at'] + ', ' + (last['outcome'] or 'no answer yet') if last else 'never'}",
        f"  next upload   {facts['next_upload'] or 'none planned'}",
        f"  installation  {facts['installation_id'] or 'no identifier'}",
        f"  environment   {'attached' if facts['attached'] else 'not attached'}",
        f"  spool         {facts['spool']}",
        "",
        *_advice(facts),
    ]


def _count_lines(facts: dict[str, Any]) -> list[str]:
    waiting = f"{count_text(facts['pending'] + facts['sealed'], 'event')} in {count_text(facts['rows'], 'row')}"
    rest = "    ".join(f"{name} {facts[name]:,}" for name in ("exported", "rejected", "dropped"))
    return [
        f"  recorded      {count_text(facts['recorded'], 'event')}",
        f"  waiting       {waiting}; {facts['sealed']:,} of them sealed in {count_text(facts['batches'], 'batch')}",
        f"  delivered     {facts['delivered']:,}    {rest}",
    ]


def _where(facts: dict[str, Any]) -> str:
    if not facts["endpoint"]:
        return "none: nothing leaves this machine"
    return f"{facts['endpoint']} ({facts['endpoint_from']})"


def _advice(facts: dict[str, Any]) -> list[str]:
    look = "See what waits:       deepchecks telemetry inspect"
    wipe = "Turn it off, wiping:  deepchecks telemetry disable"
    return {
        ON: [look, wipe],
        LOCAL: [look, wipe, f"Turn it on:           {_remedy(facts['decided_by'])}"],
        OFF: [f"Turn it on:  {_remedy(facts['decided_by'])}"],
    }[facts["mode"]]


def _remedy(decided_by: str) -> str:
    if decided_by == POLICY:
        return "only your administrator can"
    return f"unset {decided_by}" if decided_by in SWITCHES else "deepchecks telemetry enable"
