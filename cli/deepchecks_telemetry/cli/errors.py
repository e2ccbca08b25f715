"""Every foreign error becomes one line here: what happened, then what to do; the exit code is 1."""

import errno
from difflib import get_close_matches
from typing import IO, Any

import click

from deepchecks_telemetry.cli.output import plain, say_line

REMEDIES = {  # of the spool's errors
    "Busy": "Try again in a moment.",
    "Damaged": "To start with an empty spool, run: deepchecks telemetry disable, then: deepchecks telemetry enable.",
    "Outdated": "Update this environment: pip install --upgrade deepchecks-telemetry.",
    "Unusable": "Check its owner and permissions, or set DEEPCHECKS_TELEMETRY_DIR to another directory.",
}


class Failure(click.ClickException):
    """Something that could not be done: shown as `Error: what happened. What to do.`"""

    def format_message(self) -> str:
        """One line, whatever a path or a file put into it."""
        return plain(self.message)

    def show(self, file: IO[str] | None = None) -> None:
        """On a terminal folded between words; elsewhere it is one line."""
        if file is None:
            say_line(f"Error: {self.format_message()}", err=True)
        else:
            super().show(file)


def tell(error: Exception) -> Failure | None:
    """The failure to show for an error of one of the rooms or of the system; None for one that is a bug."""
    from deepchecks_telemetry.spool.errors import SpoolError  # the package loads SQLite, which no help needs

    if isinstance(error, SpoolError):
        return Failure(f"{sentence(error)} {REMEDIES.get(type(error).__name__, '')}".strip())
    if isinstance(error, OSError) and error.filename is not None and error.errno != errno.EPIPE:
        return Failure(f"{error.strerror}: {error.filename}. Check its owner, its permissions and the disk.")
    if type(error).__module__.startswith("deepchecks_telemetry."):
        return Failure(_advise(error))
    return None


def _advise(error: Exception) -> str:
    from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed
    from deepchecks_telemetry.uploader.plan.text import change_endpoint

    if isinstance(error, BadEndpoint):
        return f"{sentence(error)} {instruction(change_endpoint(error.source))}"
    if isinstance(error, NotAllowed):
        return f"{sentence(error)} {instruction(error.remedy)}".strip()
    return str(error)


def sentence(text: object) -> str:
    """An error's text, or any other clause, as a sentence."""
    clause = str(text)
    return f"{clause[:1].upper()}{clause[1:]}."


def instruction(remedy: str | None) -> str:
    """What to do, after an error's sentence: a command stays as it is typed."""
    if remedy is None:
        return ""
    return f"Run: {remedy}" if remedy.startswith("deepchecks ") else sentence(remedy)


def _plain(error: click.UsageError) -> click.UsageError:
    """The error itself unless what it repeats would move a cursor: a word can be a file's name, "--\\x1b[2J.jsonl"."""
    said = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # it holds the help, whose lines are ours
        return error
    return error if plain(said) == said else click.UsageError(plain(said), error.ctx)


class Group(click.Group):
    """A group whose commands fail in one line, and are listed in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """The names, unsorted."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a mistyped one, name those that may have been meant (older clicks do not)."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = get_close_matches(args[0], self.list_commands(ctx))
            if not meant or "Did you mean" in error.format_message():
                raise
            said = f"{error.format_message()} Did you mean {' or '.join(map(repr, meant))}?"
            raise click.UsageError(said, ctx) from error

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Read the words."""
        try:
            return super().make_context(*args, **named)
        except click.UsageError as error:
            raise _plain(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of a room becomes a `Failure`, anything else stays as it is."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _plain(error) from None
        except click.ClickException:
            raise
        except Exception as error:
            told = tell(error)
            if told is None:
                raise
            raise told from error
