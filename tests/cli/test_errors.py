"""A known error is one line with what happened and what to do; a bug is not translated."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest
from click.testing import CliRunner

from deepchecks_telemetry.cli.errors import REMEDIES, CliError, Group, to_cli_error
from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.spool.consent.decision import POLICY
from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, SpoolError, Unusable
from deepchecks_telemetry.uploader.errors import BadEndpoint, NotAllowed
from deepchecks_telemetry.uploader.setting import VARIABLE

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


@pytest.mark.parametrize("kind", [Busy, Damaged, Outdated, Unusable])
def test_each_error_of_the_spool_has_its_remedy(kind: type[SpoolError]) -> None:
    cli_error = to_cli_error(kind("the spool is in some state"))
    assert cli_error is not None
    assert (cli_error.exit_code, cli_error.message) == (1, f"The spool is in some state. {REMEDIES[kind.__name__]}")


@pytest.mark.parametrize(
    ("error", "message"),
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
def test_an_error_of_our_packages_or_of_the_system_is_one_line(error: Exception, message: str) -> None:
    group = Group("group")

    @group.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(group, ["fail"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1


def test_control_characters_in_an_error_are_escaped() -> None:
    error = CliError("Cannot write /home/\x1b[31m\nError: nothing. Check it.")
    assert error.format_message() == r"Cannot write /home/\x1b[31m\nError: nothing. Check it."


@pytest.mark.parametrize(
    "error", [KeyError("a bug"), BrokenPipeError(errno.EPIPE, "closed by the reader"), OSError("odd")]
)
def test_a_bug_is_not_translated(error: Exception) -> None:
    assert to_cli_error(error) is None


@pytest.mark.parametrize("error", [click.UsageError("Not like this."), CliError("Not now. Try again.")])
def test_a_click_error_passes_through_nested_groups_unchanged(error: click.ClickException) -> None:
    outer, inner = Group("outer"), Group("inner")
    outer.add_command(inner)

    @inner.command()
    def fail() -> None:
        raise error

    assert CliRunner().invoke(outer, ["inner", "fail"], standalone_mode=False).exception is error


def file_instead_of_directory(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    home.write_text("a file")


def owned_by_another_user(home: Path) -> None:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can change the owner of a directory")
    (home / "state").mkdir(parents=True, mode=0o700)
    (home / "state" / "spool.db").write_bytes(b"")
    os.chown(home / "state", 12345, 12345)


@pytest.mark.parametrize("command", ["status", "inspect", "sent", "preview", "flush", "enable", "local", "disable"])
@pytest.mark.parametrize("make_unusable", [file_instead_of_directory, owned_by_another_user])
def test_an_unusable_directory_is_one_line_with_a_remedy(
    make_unusable: Callable[[Path], None], command: str, deepchecks: Run, home: Path, record: Record
) -> None:
    make_unusable(home)
    assert record("run-check") == [False]
    done = deepchecks(command, DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith(
        ". Check its owner and permissions, or set DEEPCHECKS_TELEMETRY_DIR to another directory.\n"
    )
    assert done.stderr.count("\n") == 1
    assert command == "status" or done.stdout == ""
