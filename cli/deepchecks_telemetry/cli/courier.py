"""`export`, `deliver`, `settle`: counts leave a machine without a network in files, and a receipt comes back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from deepchecks_telemetry.cli.errors import Failure, sentence
from deepchecks_telemetry.cli.headers import headers_option, read_headers_file
from deepchecks_telemetry.cli.output import count_text, json_option, plain, say_json
from deepchecks_telemetry.spool.files.paths import find_home

if TYPE_CHECKING:
    from deepchecks_telemetry.uploader.endpoint import Endpoint
    from deepchecks_telemetry.uploader.offline.bundle import Request
    from deepchecks_telemetry.uploader.offline.deliver import Delivery
    from deepchecks_telemetry.uploader.offline.settle import Settled

COPY_AGAIN = "Copy it again from the original."
ELSEWHERE = "Check the directory or choose another path. No counts are lost."
UNITS = {"": 1, "K": 1024, "M": 1024**2}


def size(text: str) -> int:
    """A number of bytes, or a usage error."""
    digits, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    if not (digits.isascii() and digits.isdigit() and int(digits) and unit in UNITS):
        raise click.BadParameter(f'"{text}" is not a size: expected a number of bytes, or for example 500K or 5M')
    return int(digits) * UNITS[unit]


@click.command()
@click.argument("path", type=click.Path())
@click.option("--split", type=size, metavar="SIZE", help="Start a new file at this size, for example 500K or 5M.")
@click.option("--again", is_flag=True, help="Also write batches that were exported before and are not settled.")
@json_option
def export(*, path: str, split: int | None, again: bool, as_json: bool) -> None:
    """Write pending counts to a file that another machine can send.

    PATH is an existing directory, where each file is named after its SHA-256, or a new file whose name ends in .jsonl.
    On a connected machine, `deliver` sends the file and writes a receipt, which `settle` reads on this machine.

    \b
    Examples:
      deepchecks telemetry export /media/stick
      deepchecks telemetry export counts.jsonl --split 5M
    """
    from deepchecks_telemetry.uploader.offline.export import export as run

    files = []
    with _file_errors():
        for file in run(find_home(), path, split_bytes=split, again=again, lock_s=1.0):
            files.append(file)
            if not as_json:
                batches = count_text(len(file.batches), "batch")
                click.echo(f"{plain(file.path)}: {count_text(file.events, 'event')} in {batches}")
    if as_json:
        say_json(
            [
                {"path": file.path, "sha256": file.sha256, "bytes": file.size_bytes}
                | {"batches": list(file.batches), "events": file.events}
                for file in files
            ]
        )
    elif not files:
        click.echo("Nothing is pending.")


@click.command()
@click.argument("files", type=click.Path(), nargs=-1, required=True, metavar="FILE...")
@click.option("--endpoint", metavar="URL", help="Where to send. Default: the endpoint configured on this machine.")
@click.option("--allow-http", is_flag=True, help="Allow http:// outside loopback and private networks.")
@headers_option
@click.option(
    "--receipt",
    metavar="PATH",
    type=click.Path(),
    help="File or directory for the receipt. Default: beside the first FILE.",
)
@click.option(
    "--ledger",
    metavar="PATH",
    type=click.Path(),
    help="SQLite file that lists what was delivered. Default: one per user.",
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

    Works in every mode, because the counts come from other machines. A batch that was already delivered to this
    endpoint, or rejected by it, is not sent again. Exits with 0 only if every batch was delivered or rejected.

    \b
    Examples:
      deepchecks telemetry deliver /media/stick/*.jsonl
      deepchecks telemetry deliver counts.jsonl --endpoint https://collector.example.org
    """
    from deepchecks_telemetry.spool.batches.export_files import find_ledger
    from deepchecks_telemetry.uploader.offline import deliver as delivering
    from deepchecks_telemetry.uploader.offline.receipt import write

    home = find_home()
    target = _target(endpoint, read_headers_file(headers_file), allow_http=allow_http)
    requests, refused = _read(files)
    done = []
    with _file_errors():
        for each in delivering.deliver(requests, target, ledger or find_ledger(home)):
            done.append(each)
            if not as_json:
                click.echo(_delivered_line(each))
        entries = [each.entry for each in done if each.entry]
        written = write(entries, receipt or str(Path(files[0]).parent)) if entries else None
    left = len(requests) - len(entries)
    if as_json:
        say_json({"endpoint": target.url, "batches": _as_dicts(done), "left": left, "receipt": written})
    elif written:
        click.echo(f"receipt: {plain(written)}")
    if left or refused:
        _fail(left, refused)


@click.command()
@click.argument("receipts", type=click.Path(), nargs=-1, required=True, metavar="RECEIPT...")
@json_option
def settle(*, receipts: Sequence[str], as_json: bool) -> None:
    """Mark batches as delivered from a receipt.

    Each batch is settled once; a batch that is unknown to this installation is skipped. Exits with 1 if all of them
    are.

    \b
    Example:
      deepchecks telemetry settle /media/stick/deepchecks-telemetry-receipt-*.json
    """
    from deepchecks_telemetry.uploader.offline.receipt import read
    from deepchecks_telemetry.uploader.offline.settle import settle_receipt

    home = find_home()
    with _file_errors():
        entries = [entry for receipt in receipts for entry in read(receipt)]
    settled = settle_receipt(home, entries)
    if as_json:
        say_json([_settled_dict(each) for each in settled])
    else:
        click.echo("".join(map(_settled_line, settled)), nl=False)
    if not any(each.batch for each in settled):
        raise Failure(
            "The receipt contains no batch of this installation. Run settle on the machine that exported the batches; "
            "batches that disable wiped, or that were settled long ago, are no longer stored here."
        )


@contextmanager
def _file_errors() -> Iterator[None]:
    """Say what is wrong with a file, and what to do."""
    from deepchecks_telemetry.uploader.errors import BadFile, CannotWrite

    try:
        yield
    except BadFile as error:
        raise Failure(f"{sentence(error)} {COPY_AGAIN}") from error
    except CannotWrite as error:
        raise Failure(f"{sentence(error)} {ELSEWHERE}") from error


def _target(url: str | None, more: Mapping[str, str], *, allow_http: bool) -> "Endpoint":
    from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
    from deepchecks_telemetry.uploader.errors import BadEndpoint
    from deepchecks_telemetry.uploader.wire.url import parse

    if url is None:
        found = find_endpoint(find_home())
        if found is None:
            raise Failure("No endpoint is configured on this machine. Set one with: --endpoint https://HOST")
        return found._replace(headers={**found.headers, **more})
    try:
        return Endpoint(parse(url, allow_http=allow_http), "--endpoint", more)
    except BadEndpoint as error:
        raise click.UsageError(sentence(error)) from error


def _read(files: Iterable[str]) -> "tuple[list[Request], int]":
    """The requests of all complete files, each once; another file is reported, and nothing of it is sent."""
    from deepchecks_telemetry.uploader.errors import BadFile
    from deepchecks_telemetry.uploader.offline.bundle import read_file

    requests: dict[str, Request] = {}
    refused = 0
    for path in files:
        try:
            for request in read_file(path):
                requests.setdefault(request.sha256, request)
        except BadFile as error:
            refused += 1
            click.echo(f"Skipped: {plain(sentence(error))} Nothing in it was sent. {COPY_AGAIN}", err=True)
    return list(requests.values()), refused


def _fail(left: int, refused: int) -> None:
    said = [f"{count_text(refused, 'file')} skipped"] if refused else []
    said += [f"{count_text(left, 'batch')} not delivered"] if left else []
    raise Failure(f"{' and '.join(said)}. Nothing is lost; fix the cause and run the same command again.")


def _delivered_line(each: "Delivery") -> str:
    request = each.request
    return f"{plain(request.file)}, line {request.line}: {count_text(request.events, 'event')}, {each.outcome.reason}"


def _as_dicts(done: "Iterable[Delivery]") -> list[dict[str, object]]:
    return [
        {"file": each.request.file, "line": each.request.line}
        | {"sha256": each.request.sha256, "events": each.request.events}
        | {"outcome": each.outcome.kind, "reason": each.outcome.reason}
        for each in done
    ]


def _settled_line(each: "Settled") -> str:
    if each.batch is None:
        return f"{each.entry.sha256[:12]}: skipped, unknown to this installation\n"
    news = each.entry.outcome if each.changed else f"already settled ({each.batch.state})"
    return f"batch {each.batch.id}: {count_text(each.batch.events, 'event')}, {news}\n"


def _settled_dict(each: "Settled") -> dict[str, object]:
    return {
        "batch": each.batch and each.batch.id,
        "sha256": each.entry.sha256,
        "outcome": each.entry.outcome,
        "settled": each.changed,
    }
