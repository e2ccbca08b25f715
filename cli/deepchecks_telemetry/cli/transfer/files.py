"""Errors of files that are read or written, with what to do, for `export`, `deliver` and `settle`."""

from collections.abc import Iterator
from contextlib import contextmanager

from deepchecks_telemetry.cli.errors import CliError, interruptible, sentence
from deepchecks_telemetry.uploader.errors import BadFile, CannotWrite

COPY_AGAIN = "Copy it again from the original."
OTHER_PATH = "Check the directory or choose another path. No counts are lost."


@contextmanager
def file_errors(kept: str) -> Iterator[None]:
    """Translate the uploader's errors of files, with the remedy; and Ctrl-C, with what was done and is `kept`."""
    try:
        with interruptible(kept):
            yield
    except BadFile as error:
        raise CliError(f"{sentence(error)} {COPY_AGAIN}") from error
    except CannotWrite as error:
        raise CliError(f"{sentence(error)} {OTHER_PATH}") from error
