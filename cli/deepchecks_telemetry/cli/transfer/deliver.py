"""`deliver`: send exported files from a connected machine, and write a receipt for `settle`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import click

from deepchecks_telemetry.cli.errors import CliError, sentence
from deepchecks_telemetry.cli.output import count_text, echo_json, escape_control_chars, json_option, with_progress
from deepchecks_telemetry.cli.transfer.files import COPY_AGAIN, file_errors
from deepchecks_telemetry.cli.transfer.headers import headers_option, read_headers_file
from deepchecks_telemetry.spool.batches.export_files import find_ledger
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, BadFile
from deepchecks_telemetry.uploader.offline import receipt as receipts
from deepchecks_telemetry.uploader.offline.bundle import Request, read_file
from deepchecks_telemetry.uploader.offline.deliver import Delivery
from deepchecks_telemetry.uploader.offline.deliver import deliver as send_requests
from deepchecks_telemetry.uploader.wire.url import parse


@click.command()
@click.argument("files", type=click.Path(), nargs=-1, required=True, metavar="FILE...")
@click.option("--endpoint", metavar="URL", help="Where to send. Default: the endpoint configured on this machine.")
@click.option("--allow-http", is_flag=True, help="Allow http:// outside loopback and private networks.")
@headers_option
@click.option(
    "--receipt",
    metavar="PATH",
    type=click.Path(),
    help="File or directory for the receipt. Default: the directory of the first exported file.",
)
@click.option(
    "--ledger",
    metavar="PATH",
    type=click.Path(),
    help="SQLite file that lists the delivered and rejected batches. Default: one per user.",
)
@json_option
def deliver(
    *,
    files: Sequence[str],
    endpoint: str | None,
    allow_http: bool,
    headers_file: BinaryIO | None,
    receipt: str | None,
    ledger: str | None,
    as_json: bool,
) -> None:
    """Send exported files, and write a receipt.

    Works in every mode, also off, because the counts come from other machines. A batch that was already delivered to
    this endpoint, or rejected by it, is not sent again. A file that was changed or truncated is skipped completely.
    Exits with 0 only if no file was skipped and every batch was delivered or rejected.

    \b
    Examples:
      deepchecks telemetry deliver /media/stick/*.jsonl
      deepchecks telemetry deliver counts.jsonl --endpoint https://collector.example.org
    """
    target = _find_target(endpoint, read_headers_file(headers_file), allow_http=allow_http)
    requests, skipped = _read(files)
    results = []
    with file_errors("What was delivered is in the ledger; no receipt was written."):
        sending = send_requests(requests, target, ledger or find_ledger(find_home()))
        for result in with_progress(sending, "Sending", len(requests), lambda _: 1):
            results.append(result)
            if not as_json:
                click.echo(_line(result))
        entries = [result.entry for result in results if result.entry]
        written = receipts.write(entries, receipt or str(Path(files[0]).parent)) if entries else None
    left = len(requests) - len(entries)
    if as_json:
        batches = list(map(_as_dict, results))
        echo_json({"endpoint": target.url, "batches": batches, "left": left, "receipt": written})
    elif written:
        click.echo(f"receipt: {escape_control_chars(written)}")
    if left or skipped:
        raise CliError(_failure(left, skipped))


def _find_target(url: str | None, headers: Mapping[str, str], *, allow_http: bool) -> Endpoint:
    if url is None:
        configured = find_endpoint(find_home())
        if configured is None:
            raise CliError("No endpoint is configured on this machine. Set one with: --endpoint https://HOST")
        return configured._replace(headers={**configured.headers, **headers})
    try:
        return Endpoint(parse(url, allow_http=allow_http), "--endpoint", headers)
    except BadEndpoint as error:
        raise click.UsageError(sentence(error)) from error


def _read(files: Iterable[str]) -> tuple[list[Request], int]:
    """The requests of all valid files, each request once; another file is reported, skipped as a whole, and counted."""
    requests: dict[str, Request] = {}
    skipped = 0
    for path in files:
        try:
            for request in read_file(path):
                requests.setdefault(request.sha256, request)
        except BadFile as error:
            skipped += 1
            problem = escape_control_chars(sentence(error))
            click.echo(f"Skipped: {problem} Nothing in it was sent. {COPY_AGAIN}", err=True)
    return list(requests.values()), skipped


def _failure(left: int, skipped: int) -> str:
    parts = [f"{count_text(skipped, 'file')} skipped"] if skipped else []
    parts += [f"{count_text(left, 'batch')} not delivered"] if left else []
    return f"{' and '.join(parts)}. Nothing is lost; fix the cause and run the same command again."


def _line(result: Delivery) -> str:
    request = result.request
    position = f"{escape_control_chars(request.file)}, line {request.line}"
    return f"{position}: {count_text(request.events, 'event')}, {result.outcome.reason}"


def _as_dict(result: Delivery) -> dict[str, object]:
    return {
        "file": result.request.file,
        "line": result.request.line,
        "sha256": result.request.sha256,
        "events": result.request.events,
        "outcome": result.outcome.kind,
        "reason": result.outcome.reason,
    }
