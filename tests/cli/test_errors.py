"""What went wrong is told as what happened and what to do, in one line; a bug stays a bug."""

import errno
import os

import click
import pytest
from click.testing import CliRunner

from deepchecks_telemetry.cli.errors import REMEDIES, Failure, Group, tell
from deepchecks_telemetry.hooks import HooksError
from deepchecks_telemetry.spool.consent.decision import POLICY
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, SpoolError, Unusable
from deepchecks_telemetry.uploader.endpoint import VARIABLE
from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed


@pytest.mark.parametrize("kind", [Busy, Damaged, Outdated, Unusable])
def test_each_error_of_the_spool_has_its_remedy(kind: type[SpoolError]) -> None:
    told = tell(kind("the spool is in some state"))
    assert told is not None
    assert (told.exit_code, told.message) == (1, f"The spool is in some state. {REMEDIES[kind.__name__]}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadEndpoint("invalid endpoint: not a URL"), "Invalid endpoint: not a URL. Run: deepchecks telemetry enable"),
        (BadEndpoint("not a URL", POLICY), f"Not a URL (set by {POLICY}). Only your administrator can change it."),
        (BadEndpoint("not a URL", VARIABLE), f"Not a URL (set by {VARIABLE}). Correct or unset {VARIABLE}."),
        (NotAllowed("telemetry is off", "unset X"), "Telemetry is off. Unset X."),
        (HooksError("Cannot write it. Run this again."), "Cannot write it. Run this again."),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/some/file"),
            "Permission denied: /some/file. Check its owner, its permissions and the disk.",
        ),
    ],
)
def test_an_error_of_a_room_or_of_the_system_is_one_line(error: Exception, said: str) -> None:
    group = Group("group")

    @group.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(group, ["fail"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")
    assert done.stderr.count("\n") == 1


def test_a_path_that_would_break_the_line_does_not() -> None:
    done = Failure("Cannot write /home/\x1b[31m\nError: nothing. Check it.")
    assert done.format_message() == r"Cannot write /home/\x1b[31m\nError: nothing. Check it."


@pytest.mark.parametrize("error", [KeyError("a bug"), BrokenPipeError(errno.EPIPE, "the reader left"), OSError("odd")])
def test_a_bug_is_not_dressed_up_as_a_failure(error: Exception) -> None:
    assert tell(error) is None


@pytest.mark.parametrize("error", [click.UsageError("Not like this."), Failure("Not now. Try again.")])
def test_what_is_told_already_passes_through_nested_groups_as_it_is(error: click.ClickException) -> None:
    outer, inner = Group("outer"), Group("inner")
    outer.add_command(inner)

    @inner.command()
    def fail() -> None:
        raise error

    assert CliRunner().invoke(outer, ["inner", "fail"], standalone_mode=False).exception is error
