"""The room as a whole: its names, what it loads, its help, and that it works on every terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.cli.output import fit

Words = tuple[str, ...]
Run = Callable[..., subprocess.CompletedProcess[str]]
Record = Callable[..., list[bool]]

LIGHT = {"click", "platformdirs", "deepchecks_telemetry", "colorama", "typing_extensions"}
RECORD = "from deepchecks_telemetry.spool import record; print(record('run-check'))"


def walk(command: click.Command, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            yield from walk(child, (*path, name))


TREE = dict(walk(cli.deepchecks))


def test_the_public_names_are_sorted_and_pinned() -> None:
    assert cli.__all__ == ["deepchecks", "main", "telemetry", "view"] == sorted(cli.__all__)


def test_each_line_of_the_list_is_its_commands_own() -> None:
    listed = {name: line for name, (_, line) in cli.COMMANDS.items()}
    assert listed == {name: TREE["telemetry", name].get_short_help_str(limit=100) for name in listed}


def test_the_commands_are_the_faces_own() -> None:
    found = {" ".join(path[1:]) for path in TREE if path[:1] == ("telemetry",)}
    assert found == {
        *(
            "",
            "attach",
            "catalogue",
            "detach",
            "disable",
            "doctor",
            "enable",
            "flush",
            "inspect",
            "local",
            "preview",
            "purge",
            "sent",
        ),
        *("status", "tour", "view", "collector", "collector serve", "collector load", "collector report"),
        *("export", "deliver", "settle"),
    }


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_a_command_has_help_that_ends_with_an_example_of_itself(path: Words) -> None:
    done = CliRunner().invoke(cli.deepchecks, [*path, "--help"])
    assert done.exit_code == 0
    said = re.search(r"\n  (?:Examples?):\n((?:    .*\n)+)", done.output)
    assert said is not None
    examples = [line.split() for line in said[1].splitlines()]
    assert all(tuple(words[: len(path) + 1]) == ("deepchecks", *path) for words in examples)
    named = {word for words in examples for word in words if word.startswith("--")}
    known = {name for option in TREE[path].params for name in option.opts}
    assert named <= known


@pytest.mark.parametrize("path", [path for path in TREE if isinstance(TREE[path], click.Group)], ids=" ".join)
def test_no_summary_of_a_command_is_cut_at_80_columns(path: Words) -> None:
    listed = CliRunner().invoke(cli.deepchecks, [*path, "--help"], terminal_width=80).output.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("arguments", ["--version", "telemetry --help", "telemetry status", "telemetry status --json"])
def test_a_look_loads_only_what_is_light(arguments: str, python: Run, record: Record) -> None:
    assert record("run-check") == [True]
    show = "print('loaded:', *sys.modules, file=sys.stderr)"
    bare = python("-c", f"import sys; {show}").stderr.split()
    script = f"import sys; from deepchecks_telemetry.cli import main; sys.argv[1:] = {arguments.split()!r}\n"
    done = python("-c", f"{script}try: main()\nfinally: {show}")
    loaded = set(done.stderr.split()) - set(bare)
    assert {"click", "deepchecks_telemetry.cli"} <= loaded
    foreign = {name.partition(".")[0] for name in loaded if not name.startswith("_sysconfigdata")}
    assert foreign - sys.stdlib_module_names <= LIGHT
    assert loaded & {"asyncio", "http", "multiprocessing", "ssl"} == set()


@pytest.mark.parametrize("group", [[], ["collector"]], ids=["telemetry", "collector"])
def test_a_group_without_a_command_shows_its_help_line_by_line(group: list[str], deepchecks: Run) -> None:
    bare, asked = deepchecks(*group), deepchecks(*group, "--help")
    assert (bare.returncode, bare.stderr.strip()) == (2, asked.stdout.strip())


def test_a_mistyped_command_is_a_usage_error_that_names_the_one_that_was_meant(program: Run) -> None:
    done = program("statsu")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'statsu'. Did you mean 'status'?" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "status --yaml",
        "sent one",
        "enable --header X=a",
        "enable --headers -",
        "enable --allow-http",
        "collector",
        "",
        "inspect now",
    ],
)
def test_a_usage_error_is_2_and_leaves_standard_output_clean(arguments: str, deepchecks: Run, home: Path) -> None:
    done = deepchecks(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: deepchecks telemetry" in done.stderr
    assert "Traceback" not in done.stderr
    assert not home.exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_without_utf_8_is_shown_all_the_same(encoding: str, python: Run, tmp_path: Path) -> None:
    variables = {"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "日"), "PYTHONIOENCODING": encoding}
    assert python("-c", RECORD, **variables).stdout == "True\n"
    for command in ("status", "inspect", "catalogue", "sent", "--help", "disable"):
        done = python("-m", "deepchecks_telemetry.cli", "telemetry", command, **variables)
        assert (done.returncode, done.stderr) == (0, ""), command
        # click takes ASCII for a mistake and writes UTF-8.
        assert command != "status" or ("日" if encoding == "ascii" else r"\u65e5") in done.stdout


def test_the_widest_columns_give_way_and_no_word_is_broken() -> None:
    words = [10, 14, 5, 8, 7]
    assert fit([10, 14, 5, 35, 7], words, 80) == [10, 14, 5, 35, 7]
    assert fit([10, 14, 5, 35, 7], words, 60) == [10, 14, 5, 16, 7]
    assert fit([20, 30], [20, 9], 32) == [20, 10]
    assert fit([20, 30], [20, 9], 31) == [20, 9]
    assert fit([20, 30], [20, 9], 30) is None
    assert fit([30, 3], [30, 3], 10) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("columns", [60, 80])
def test_a_table_keeps_within_the_terminal(columns: int, record: Record) -> None:
    assert record("package-import", "suite-to-wandb") == [True, True]
    shown = on_a_terminal("inspect", COLUMNS=str(columns))
    assert max(map(len, shown.splitlines())) <= columns
    assert all(f" {name} " in shown for name in ("package-import", "suite-to-wandb"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("command", ["status", "doctor", "catalogue", "sent", "flush"])
def test_a_line_is_folded_between_words(command: str, record: Record, tmp_path: Path) -> None:
    assert record("run-check") == [True]
    shown = on_a_terminal(command, exit_code=int(command == "flush"), COLUMNS="60")
    long = [line for line in click.unstyle(shown).splitlines() if len(line) > 60]
    assert [line for line in long if str(tmp_path) not in line] == []
    assert command != "flush" or shown == (
        "Error: Nothing was sent: no endpoint is set. Run: deepchecks\ntelemetry enable --endpoint https://HOST\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize("command", ["sent", "catalogue"])
def test_where_a_table_would_break_words_each_row_is_a_block_of_lines(
    command: str, program: Run, record: Record
) -> None:
    assert record("run-check") == [True]
    assert program("flush", DEEPCHECKS_TELEMETRY_ENDPOINT="http://127.0.0.1:9").returncode == 1
    whole = {word for word in program(command).stdout.split() if set(word) != {"-"}}
    shown = on_a_terminal(command, COLUMNS="60")
    assert whole <= set(shown.split())
    assert {"sent": "\nsha256 ", "catalogue": "\n\nfield  "}[command] in shown
    assert max(map(len, shown.splitlines())) <= 60


def test_in_a_pipe_a_row_is_one_line(deepchecks: Run, record: Record) -> None:
    assert record("package-import", "suite-to-wandb") == [True, True]
    assert len(deepchecks("inspect", COLUMNS="20").stdout.splitlines()) == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in the standard library")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_a_terminal_has_colour_unless_no_color_says_otherwise(variables: dict[str, str], coloured: bool) -> None:
    script = "import click; from deepchecks_telemetry import cli; "
    script += "cli.deepchecks.command('paint')(lambda: click.secho('painted', fg='red')); cli.main()"
    shown = on_a_terminal("paint", script=script, TERM="xterm", **variables)
    assert "painted" in shown
    assert ("\x1b[31m" in shown) is coloured


def on_a_terminal(command: str, *, script: str = "", exit_code: object = 0, **variables: str) -> str:
    """What a process writes to a terminal."""
    import pty

    arguments = ["-c", script, command] if script else ["-m", "deepchecks_telemetry.cli", "telemetry", command]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **variables}
    ) as child:
        os.close(theirs)
        shown = b"".join(iter(lambda: read_some(ours), b""))
        os.close(ours)
        assert child.wait(30) == exit_code, shown
    return shown.decode().replace("\r\n", "\n")


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the other end is closed
        return b""
