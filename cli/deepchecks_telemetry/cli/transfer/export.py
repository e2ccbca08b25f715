"""`export`: write pending counts to files that another machine can send."""

import math
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from deepchecks_telemetry.cli.output import count_text, echo_json, escape_control_chars, json_option, progress_bar
from deepchecks_telemetry.cli.transfer.files import file_errors
from deepchecks_telemetry.spool.batches.seal import MAX_ROWS
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.uploader.offline.export import Exported
from deepchecks_telemetry.uploader.offline.export import export as write_files

UNITS = {"": 1, "K": 1024, "M": 1024**2}


def size(text: str) -> int:
    """Parse a number of bytes; a usage error for any other text."""
    digits, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    if not (digits.isascii() and digits.isdigit() and int(digits) and unit in UNITS):
        raise click.BadParameter(f'"{text}" is not a size: expected a number of bytes, or for example 500K or 5M')
    return int(digits) * UNITS[unit]


@click.command()
@click.argument("path", type=click.Path())
@click.option(
    "--split",
    type=size,
    metavar="SIZE",
    help="Start a new file before a file exceeds this size, for example 500K or 5M.",
)
@click.option("--again", is_flag=True, help="Also write batches that were exported before and are not settled.")
@json_option
def export(*, path: str, split: int | None, again: bool, as_json: bool) -> None:
    """Write pending counts to a file that another machine can send.

    PATH is an existing directory or a new file whose name ends in .jsonl. In a directory, each file that is written is
    named after its SHA-256. On a connected machine, `deliver` sends the file and writes a receipt, which `settle` reads
    on this machine.

    \b
    Examples:
      deepchecks telemetry export /media/stick
      deepchecks telemetry export counts.jsonl --split 5M
    """
    files: list[Exported] = []
    home = find_home()
    try:
        with file_errors("Each file that was written is complete."), _progress_bar(home) as advance:
            files.extend(write_files(home, path, split_bytes=split, again=again, lock_s=1.0, progress=advance))
    finally:
        if not as_json:
            click.echo("".join(map(_line, files)), nl=False)
    if as_json:
        echo_json(list(map(_as_dict, files)))
    elif not files:
        click.echo("Nothing is pending.")


def _progress_bar(home: Home) -> AbstractContextManager[Callable[[int], None]]:
    rows = read_accounts(home).rows if sys.stderr.isatty() and os.path.exists(home.spool) else 0
    return progress_bar("Exporting", math.ceil(rows / MAX_ROWS))


def _line(file: Exported) -> str:
    batches = count_text(len(file.batches), "batch")
    return f"{escape_control_chars(file.path)}: {count_text(file.events, 'event')} in {batches}\n"


def _as_dict(file: Exported) -> dict[str, object]:
    return {
        "path": file.path,
        "sha256": file.sha256,
        "bytes": file.size_bytes,
        "batches": list(file.batches),
        "events": file.events,
    }
