"""Tables, lines and colours on a terminal and in a pipe, and the escaping of control characters."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

from deepchecks_telemetry.cli.output import escape_control_chars, fit_widths

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]


def test_the_widest_columns_are_narrowed_and_no_word_is_broken() -> None:
    words = [10, 14, 5, 8, 7]
    assert fit_widths([10, 14, 5, 35, 7], words, 80) == [10, 14, 5, 35, 7]
    assert fit_widths([10, 14, 5, 35, 7], words, 60) == [10, 14, 5, 16, 7]
    assert fit_widths([20, 30], [20, 9], 32) == [20, 10]
    assert fit_widths([20, 30], [20, 9], 31) == [20, 9]
    assert fit_widths([20, 30], [20, 9], 30) is None
    assert fit_widths([30, 3], [30, 3], 10) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("columns", [60, 80])
def test_a_table_fits_into_the_terminal(columns: int, record: Record) -> None:
    assert record("package-import", "suite-to-wandb") == [True, True]
    output = run_on_a_terminal("inspect", COLUMNS=str(columns))
    assert max(map(len, output.splitlines())) <= columns
    assert all(f" {name} " in output for name in ("package-import", "suite-to-wandb"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("command", ["status", "doctor", "catalogue", "sent", "flush"])
def test_a_line_is_wrapped_between_words(command: str, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    output = run_on_a_terminal(command, exit_code=int(command == "flush"), COLUMNS="60")
    long = [line for line in click.unstyle(output).splitlines() if len(line) > 60]
    assert [line for line in long if str(tmp_path) not in line and not line.startswith("https://")] == []
    assert command != "flush" or output == (
        "Error: Nothing was sent: no endpoint is set. Run: deepchecks\ntelemetry enable --endpoint https://HOST\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("command", ["sent", "catalogue"])
def test_in_a_narrow_terminal_each_row_is_a_block_of_lines(command: str, program: Run, record: Record) -> None:
    assert record("run-check") == [True]
    assert program("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9").returncode == 1
    words = {word for word in program(command).stdout.split() if set(word) != {"-"}}
    output = run_on_a_terminal(command, COLUMNS="60")
    assert words <= set(output.split())
    assert {"sent": "\nsha256 ", "catalogue": "\n\nfield  "}[command] in output
    assert max(map(len, output.splitlines())) <= 60


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize(
    ("command", "lines", "is_paged"), [("inspect", 7, True), ("inspect", 40, False), ("sent", 3, True)]
)
def test_a_list_that_is_longer_than_the_terminal_is_shown_in_the_pager(
    command: str, lines: int, is_paged: bool, record: Record, program: Run, tmp_path: Path
) -> None:
    assert all(record("package-import", "run-check", "run-suite", "check-to-html", "suite-to-html"))
    assert program("preview").returncode == 0
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho paged\nexec cat\n")
    pager.chmod(0o700)
    rows = run_on_a_terminal(command, PAGER="cat", LINES="40", COLUMNS="120").splitlines()
    output = run_on_a_terminal(command, PAGER=str(pager), LINES=str(lines), COLUMNS="120", TERM="xterm").splitlines()
    assert [line for line in output if line] == [*(["paged"] if is_paged else []), *rows]


def test_in_a_pipe_a_row_is_one_line(deepchecks: Run, record: Record) -> None:
    assert record("package-import", "suite-to-wandb") == [True, True]
    assert len(deepchecks("inspect", COLUMNS="20").stdout.splitlines()) == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_a_terminal_has_colour_unless_no_color_is_set(variables: dict[str, str], coloured: bool) -> None:
    script = "import click; from deepchecks_telemetry import cli; "
    script += "cli.deepchecks.command('paint')(lambda: click.secho('painted', fg='red')); cli.main()"
    output = run_on_a_terminal("paint", script=script, TERM="xterm", **variables)
    assert "painted" in output
    assert ("\x1b[31m" in output) is coloured


def run_on_a_terminal(command: str, *, script: str = "", exit_code: object = 0, **variables: str) -> str:
    """Run a command in a pseudo-terminal; returns its output."""
    import pty  # Windows lacks it

    arguments = ["-c", script, command] if script else ["-m", "deepchecks_telemetry.cli", "telemetry", command]
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, **variables}
    ) as child:
        os.close(terminal)
        output = b"".join(iter(lambda: read_some(controller), b""))
        os.close(controller)
        assert child.wait(30) == exit_code, output
    return output.decode().replace("\r\n", "\n")


def read_some(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:  # Linux raises this when the other end is closed
        return b""


def test_control_characters_are_escaped() -> None:
    assert escape_control_chars("é 日本 ok") == "é 日本 ok"
    assert escape_control_chars("\x1b[31m\n\t\u202e\x9b") == r"\x1b[31m\n\t\u202e\x9b"
