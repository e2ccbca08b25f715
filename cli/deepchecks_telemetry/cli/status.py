"""`status`: on or off, who decided, what was recorded, where it is, and where it would go."""

from typing import Any

import click

from deepchecks_telemetry.cli.show import count_text, json_option, say_json, time_text
from deepchecks_telemetry.spool.accounts import Accounts, read_accounts
from deepchecks_telemetry.spool.consent import ON, decide
from deepchecks_telemetry.spool.errors import SpoolError
from deepchecks_telemetry.spool.ledger import Batch, batches
from deepchecks_telemetry.spool.paths import Home, find_home
from deepchecks_telemetry.uploader.endpoint import find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """Is it on, who decided, what waits, where would it go?

    \b
    Examples:
      deepchecks telemetry status
      deepchecks telemetry status --json
    """
    facts = read_status(find_home())
    if as_json:
        say_json(facts)
    else:
        click.echo("\n".join(_lines(facts)))


def read_status(home: Home) -> dict[str, Any]:
    """What `status --json` prints; `problem` holds what keeps the spool from being read, or None."""
    books, tries, problem = _read(home)
    decision = decide(home, closed=lambda: books.closed)
    endpoint, endpoint_from, wrong = _endpoint(home, books)
    tried = [batch for batch in tries if batch.tried_at is not None]
    last = max(tried, key=lambda batch: batch.tried_at or 0, default=None)
    return {
        "mode": decision.mode,
        "decided_by": decision.decided_by,
        "endpoint": endpoint,
        "endpoint_from": endpoint_from,
        "recorded": books.recorded,
        "pending": books.pending,
        "sealed": books.sealed,
        "delivered": books.delivered,
        "exported": books.exported,
        "rejected": books.rejected,
        "dropped": sum(books.dropped.values()),
        "dropped_by_reason": books.dropped,
        "rows": books.rows,
        "batches": books.batches,
        "installation_id": books.installation_id,
        "spool": home.spool,
        "last_upload": last and {"at": time_text(last.tried_at), "outcome": last.outcome, "endpoint": last.endpoint},
        "next_upload": time_text(books.next_upload) if endpoint and decision.mode == ON else None,
        "problem": problem or wrong,
    }


def _read(home: Home) -> tuple[Accounts, list[Batch], str | None]:
    try:
        return read_accounts(home), batches(home), None
    except FileNotFoundError:
        return Accounts(), [], None
    except SpoolError as error:
        return Accounts(), [], str(error)


def _endpoint(home: Home, books: Accounts) -> tuple[str | None, str | None, str | None]:
    try:
        found = find_endpoint(home, books.attached_endpoint)
    except BadEndpoint as error:
        return None, None, str(error)
    return (found.url, found.source, None) if found else (None, None, None)


def _lines(facts: dict[str, Any]) -> list[str]:
    waiting = f"{count_text(facts['pending'] + facts['sealed'], 'event')} in {count_text(facts['rows'], 'row')}"
    last = facts["last_upload"]
    lines = [
        f"Telemetry is {facts['mode']}: decided by {facts['decided_by']}.",
        "",
        f"  recorded      {count_text(facts['recorded'], 'event')}",
        f"  waiting       {waiting}; {facts['sealed']:,} of them sealed in {count_text(facts['batches'], 'batch')}",
        f"  delivered     {facts['delivered']:,}    "
        + "    ".join(f"{name} {facts[name]:,}" for name in ("exported", "rejected", "dropped")),
        f"  endpoint      {_where(facts)}",
        f"  last upload   {last['at'] + ', ' + (last['outcome'] or 'no answer yet') if last else 'never'}",
        f"  next upload   {facts['next_upload'] or 'none planned'}",
        f"  installation  {facts['installation_id'] or 'no identifier'}",
        f"  spool         {facts['spool']}",
    ]
    if facts["problem"]:
        lines.append(f"  problem       {facts['problem']}")
    return [*lines, "", *_advice(facts)]


def _where(facts: dict[str, Any]) -> str:
    return (
        f"{facts['endpoint']} ({facts['endpoint_from']})" if facts["endpoint"] else "none: nothing leaves this machine"
    )


def _advice(facts: dict[str, Any]) -> list[str]:
    if facts["mode"] == ON:
        return [
            "See what waits:      deepchecks telemetry inspect",
            "Turn it off, wiping:  deepchecks telemetry disable",
        ]
    return ["Turn it on:  deepchecks telemetry enable"]
