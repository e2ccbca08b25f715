"""The option `--headers`, which reads headers from a file or standard input, so that no token is on a command line.

Every user of a machine can read the arguments of its processes, and a shell keeps them in its history.
"""

from typing import BinaryIO

import click

from deepchecks_telemetry.cli.errors import sentence
from deepchecks_telemetry.uploader.endpoint import read_headers
from deepchecks_telemetry.uploader.errors import BadEndpoint

MAX_BYTES = 65_536  # as many as are read of the file in which they are stored

headers_option = click.option(
    "--headers",
    "headers_file",
    metavar="FILE",
    type=click.File("rb"),
    help="Read headers from FILE, one per line, such as 'Authorization: Bearer TOKEN'; - is standard input.",
)


def read_headers_file(file: BinaryIO | None) -> dict[str, str]:
    """The headers in the file; empty without a file; a usage error for an invalid header."""
    try:
        return read_headers(file.read(MAX_BYTES).decode("utf-8", "replace")) if file else {}
    except BadEndpoint as error:
        raise click.UsageError(sentence(error)) from error
