"""Errors of our packages and of the system become one line: what happened, then what to do; the exit code is 1."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import IO, Any

import click

from deepchecks_telemetry.cli.output import echo_line, escape_control_chars

REMEDIES = {  # of the spool's errors
    "Busy": "Try again in a moment.",
    "Damaged": "To start with an empty spool, run: deepchecks telemetry disable, then: deepchecks telemetry enable.",
    "Outdated": "Update this environment: pip install --upgrade deepchecks-telemetry.",
    "Unusable": "Check its owner and permissions, or set DEEPCHECKS_TELEMETRY_DIR to another directory.",
}


class CliError(click.ClickException):
    """A command failed: printed as `Error: what happened. What to do.`"""

    def format_message(self) -> str:
        """The message as one line, with control characters escaped, because it can contain a path or text of a file."""
        return escape_control_chars(self.message)

    def show(self, file: IO[str] | None = None) -> None:
        """Print the message: wrapped between words on a terminal, otherwise on one line."""
        if file is None:
            echo_line(f"Error: {self.format_message()}", err=True)
        else:
            super().show(file)


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """End Ctrl-C with one line, which says what was done and is `kept`."""
    try:
        yield
    except KeyboardInterrupt:
        raise CliError(f"Interrupted. Nothing is lost. {kept} Run the same command again.") from None


def to_cli_error(error: Exception) -> CliError | None:
    """Translate an error of our packages or of the system; None for any other error, which is a bug."""
    from deepchecks_telemetry.spool.errors import SpoolError  # loads SQLite, which `--help` does not need

    if isinstance(error, SpoolError):
        return CliError(f"{sentence(error)} {REMEDIES.get(type(error).__name__, '')}".strip())
    if isinstance(error, OSError) and error.filename is not None and error.errno != errno.EPIPE:
        return CliError(f"{error.strerror}: {error.filename}. Check its owner, its permissions and the disk.")
    if type(error).__module__.startswith("deepchecks_telemetry."):
        return CliError(_with_remedy(error))
    return None


def _with_remedy(error: Exception) -> str:
    from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed  # these load SQLite too
    from deepchecks_telemetry.uploader.plan.text import change_endpoint

    if isinstance(error, BadEndpoint):
        return f"{sentence(error)} {instruction(change_endpoint(error.source))}"
    if isinstance(error, NotAllowed):
        return f"{sentence(error)} {instruction(error.remedy)}".strip()
    return str(error)


def sentence(text: object) -> str:
    """Format the text of an error, or another clause, as a sentence."""
    clause = str(text)
    return f"{clause[:1].upper()}{clause[1:]}."


def instruction(remedy: str | None) -> str:
    """Format a remedy to follow an error's sentence: a command after `Run:`, without a full stop."""
    if remedy is None:
        return ""
    return f"Run: {remedy}" if remedy.startswith("deepchecks ") else sentence(remedy)


def _escaped(error: click.UsageError) -> click.UsageError:
    """Escape control characters in a usage error: it repeats an argument, which can be a file's name "--\\x1b[2J"."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the help text, with our own line ends
        return error
    message = error.format_message()
    escaped = escape_control_chars(message)
    return error if escaped == message else click.UsageError(escaped, error.ctx)


class Group(click.Group):
    """A click group whose commands fail with one line, and are listed in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """The names, unsorted."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a mistyped name, suggest similar ones, which older versions of click do not."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            similar = get_close_matches(args[0], self.list_commands(ctx))
            if not similar or "Did you mean" in error.format_message():
                raise
            message = f"{error.format_message()} Did you mean {' or '.join(map(repr, similar))}?"
            raise click.UsageError(message, ctx) from error

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise _escaped(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a known error becomes a `CliError`, any other is raised unchanged."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _escaped(error) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            cli_error = to_cli_error(error)
            if cli_error is None:
                raise
            raise cli_error from error
