"""Runs our commands and programs in a temporary directory, for `tour`, and shows their output."""

import os
import subprocess
import sys
from pathlib import Path

import click

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import echo_line
from deepchecks_telemetry.spool.consent.decision import SWITCHES

TIMEOUT_S = 120
# The administrator's policy or the user's own choice may be off, which no variable changes. In the sandbox neither
# counts, and `disable` does not reach the user's own directories; in every mode, data stays in the sandbox.
ISOLATE = """
from deepchecks_telemetry.spool.files import paths
paths.find_policy = lambda _: "nowhere"
paths.find_default = lambda _: None
"""
COMMAND = "from deepchecks_telemetry.cli import main; main()"
STDOUT = 1  # our own, for a command's stdout and stderr: it detects the user's terminal, and its output stays in order


class Sandbox:
    """A directory and an environment in which commands run as if the user typed them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {name: value for name, value in os.environ.items() if name not in SWITCHES} | {
            "DEEPCHECKS_TELEMETRY_DIR": str(folder / "home"),
            # curl and requests read the lower-case name first.
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        }
        self.environ.pop("DEEPCHECKS_TELEMETRY_ENDPOINT", None)

    def echo(self, text: str) -> None:
        """Print text of the tour."""
        for line in text.split("\n"):
            echo_line(line)

    def run(self, *arguments: str, show: bool = True) -> bytes:
        """Run `deepchecks telemetry ARGUMENTS` with its output shown, or return its standard output."""
        click.secho(f"\n$ deepchecks telemetry {' '.join(arguments)}", fg="green")
        done = self._start(COMMAND, "telemetry", *arguments, stdout=STDOUT if show else subprocess.PIPE, stderr=STDOUT)
        if done.returncode:
            raise CliError(
                f"The tour stopped: '{' '.join(arguments)}' exited with {done.returncode}. See its output above."
            )
        return done.stdout or b""

    def run_script(self, source: str) -> None:
        """Run a Python program, as a user of deepchecks does."""
        done = self._start(source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            click.echo(done.stderr.decode(errors="replace"), err=True)
            raise CliError("The tour stopped: the program that records failed. See its output above.")

    def _start(self, source: str, *arguments: str, stdout: int, stderr: int) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                [sys.executable, "-c", ISOLATE + source, *arguments],
                env=self.environ,
                cwd=self.folder,
                stdout=stdout,
                stderr=stderr,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CliError(f"The tour stopped: a step took more than {TIMEOUT_S} s. Run it again.") from error
