"""Every foreign error is told here as what happened and what to do, in one line, with exit code 1."""

from typing import Any

import click

from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, SpoolError, Unusable

REMEDIES = {
    Busy: "Try again in a moment.",
    Damaged: "To throw it away and start anew: deepchecks telemetry disable, then deepchecks telemetry enable.",
    Outdated: "Update this environment: pip install --upgrade deepchecks-telemetry.",
    Unusable: "Check its owner and its permissions, or name another folder in DEEPCHECKS_TELEMETRY_DIR.",
}


class Failure(click.ClickException):
    """Something that could not be done: shown as `Error: what happened. What to do.`"""


def tell(error: Exception) -> Failure | None:
    """The failure to show for an error of one of the rooms; None for one that is a bug."""
    if isinstance(error, SpoolError):
        return Failure(f"{_sentence(error)} {REMEDIES.get(type(error), '')}".strip())
    if type(error).__module__.startswith("deepchecks_telemetry."):
        return Failure(_advise(error))
    return None


def _advise(error: Exception) -> str:
    from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed

    if isinstance(error, BadEndpoint):
        return f"{_sentence(error)} Set it with: deepchecks telemetry enable --endpoint https://HOST"
    if isinstance(error, NotAllowed):
        return f"{_sentence(error)} See: deepchecks telemetry status"
    return str(error)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


class Group(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of a room becomes a `Failure`, anything else stays as it is."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            told = tell(error)
            if told is None:
                raise
            raise told from error
