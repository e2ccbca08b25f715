"""Headers for a gateway come from a file or standard input, so that no token stands in a command line.

Every user of a machine can read its processes' arguments, and a shell keeps them in its history.
"""

from typing import BinaryIO

import click

from deepchecks_telemetry.cli.errors import sentence

MOST_BYTES = 65_536  # as much as is read of the file in which they are kept

headers_option = click.option(
    "--headers",
    "headers_file",
    metavar="HFILE",
    type=click.File("rb"),
    help="File with one NAME: VALUE header per line, such as a gateway's token; - is standard input.",
)


def read_headers_file(file: BinaryIO | None) -> dict[str, str]:
    """The headers in it, none where there is no file; a usage error for what is no header."""
    from deepchecks_telemetry.uploader.endpoint import read_headers
    from deepchecks_telemetry.uploader.errors import BadEndpoint

    try:
        return read_headers(file.read(MOST_BYTES).decode("utf-8", "replace")) if file else {}
    except BadEndpoint as error:
        raise click.UsageError(sentence(error)) from error
