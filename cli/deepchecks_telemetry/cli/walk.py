"""Running our own commands in a throwaway folder, as a person would type them, and showing what they say."""

import os
import subprocess
import sys
from pathlib import Path

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.output import say_line
from deepchecks_telemetry.spool.consent.decision import SWITCHES

TIMEOUT_S = 120
# The administrator's policy or the user's own choice may be off, and no variable takes that away. Neither counts here,
# and `disable` does not reach the user's own folders: nothing leaves the tour's folder in any mode.
ALONE = """
from deepchecks_telemetry.spool.files import paths
paths.find_policy = lambda _: "nowhere"
paths.find_default = lambda _: None
"""
COMMAND = "from deepchecks_telemetry.cli import main; main()"
OURS = 1  # our own standard output: a command sees the reader's terminal, and its notes stay in their place


class Walk:
    """The tour's own folder and environment, and a way to run a command in it as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if name not in SWITCHES} | {
            "DEEPCHECKS_TELEMETRY_DIR": str(folder / "home"),
            # Lower case is what curl and requests look at first.
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        }
        self.environ.pop("DEEPCHECKS_TELEMETRY_ENDPOINT", None)

    def say(self, text: str) -> None:
        """Tell a piece of the story."""
        for line in text.split("\n"):
            say_line(line)

    def run(self, *arguments: str, show: bool = True) -> bytes:
        """Run `deepchecks telemetry ARGUMENTS` on the reader's terminal; not shown, return its standard output."""
        click.secho(f"\n$ deepchecks telemetry {' '.join(arguments)}", fg="green")
        done = self._start(COMMAND, "telemetry", *arguments, stdout=OURS if show else subprocess.PIPE, stderr=OURS)
        if done.returncode:
            raise Failure(
                f"The tour stopped: '{' '.join(arguments)}' exited with {done.returncode}. See its output above."
            )
        return done.stdout or b""

    def script(self, source: str) -> None:
        """Run a program of the reader's kind."""
        done = self._start(source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            click.echo(done.stderr.decode(errors="replace"), err=True)
            raise Failure("The tour stopped: the program that records failed. See its output above.")

    def _start(self, source: str, *arguments: str, stdout: int, stderr: int) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                [sys.executable, "-c", ALONE + source, *arguments],
                env=self.environ,
                cwd=self.folder,
                stdout=stdout,
                stderr=stderr,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"The tour stopped: a step took more than {TIMEOUT_S} s. Run it again.") from error
