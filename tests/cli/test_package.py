"""The package as a whole: its public names, its commands and their help, what it imports, and usage errors."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli

CommandPath = tuple[str, ...]
Run = Callable[..., subprocess.CompletedProcess[str]]
Record = Callable[..., list[bool]]

LIGHT = {"_xxsubinterpreters", "click", "deepchecks_telemetry", "colorama", "typing_extensions"}
RECORD = "from deepchecks_telemetry.spool import record; print(record('run-check'))"


def walk(command: click.Command, path: CommandPath = ()) -> Iterator[tuple[CommandPath, click.Command]]:
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


def test_the_version_is_ours_and_that_of_the_installed_deepchecks(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"deepchecks-telemetry": "1.2", "deepchecks": "0.19.1"}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    assert CliRunner().invoke(cli.deepchecks, ["--version"]).output == "deepchecks-telemetry 1.2, deepchecks 0.19.1\n"


def test_the_version_says_that_deepchecks_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "deepchecks":
            raise PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(importlib.metadata, "version", version)
    output = CliRunner().invoke(cli.deepchecks, ["-V"]).output
    assert output == "deepchecks-telemetry 1.2, deepchecks is not installed\n"


def test_the_address_of_the_documentation_is_the_same_everywhere() -> None:
    from deepchecks_telemetry.cli.show import status
    from deepchecks_telemetry.uploader import notice

    assert cli.DOCUMENTATION == status.DOCUMENTATION
    assert notice.TEXT.endswith(f"\nDocumentation: {cli.DOCUMENTATION}\n")
    assert f'Documentation = "{cli.DOCUMENTATION}"' in (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")


def test_each_short_help_in_the_table_is_the_commands_own() -> None:
    table = {name: line for name, (_, line) in cli.COMMANDS.items()}
    assert table == {name: TREE["telemetry", name].get_short_help_str(limit=100) for name in table}


def test_the_commands_are_pinned() -> None:
    commands = {" ".join(path[1:]) for path in TREE if path[:1] == ("telemetry",)}
    assert commands == {
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
        *("export", "deliver", "settle", "help"),
    }


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_the_help_of_a_command_ends_with_an_example(path: CommandPath) -> None:
    done = CliRunner().invoke(cli.deepchecks, [*path, "--help"])
    assert done.exit_code == 0
    match = re.search(r"\n  (?:Examples?):\n((?:    .*\n)+)", done.output)
    assert match is not None
    examples = [line.split() for line in match[1].splitlines()]
    assert all(tuple(words[: len(path) + 1]) == ("deepchecks", *path) for words in examples)
    used = {word for words in examples for word in words if word.startswith("--")}
    options = {name for option in TREE[path].params for name in option.opts}
    assert used <= options


@pytest.mark.parametrize("path", [path for path in TREE if isinstance(TREE[path], click.Group)], ids=" ".join)
def test_no_short_help_is_truncated_at_80_columns(path: CommandPath) -> None:
    commands = CliRunner().invoke(cli.deepchecks, [*path, "--help"], terminal_width=80).output.partition("Commands:")[2]
    assert commands
    assert "..." not in commands


SHARED = ("errors", "lazy", "output")  # the modules of the command line that each command uses


@pytest.mark.parametrize("arguments", ["--version", "telemetry --help", "telemetry status", "telemetry status --json"])
def test_help_and_status_load_only_light_modules(arguments: str, python: Run, record: Record) -> None:
    assert record("run-check") == [True]
    print_modules = "print('loaded:', *sys.modules, file=sys.stderr)"
    without = python("-c", f"import sys; {print_modules}").stderr.split()
    script = f"import sys; from deepchecks_telemetry.cli import main; sys.argv[1:] = {arguments.split()!r}\n"
    done = python("-c", f"{script}try: main()\nfinally: {print_modules}")
    loaded = set(done.stderr.split()) - set(without)
    assert {"click", "deepchecks_telemetry.cli"} <= loaded
    if "--help" in arguments:
        modules = {name for name in loaded if name.startswith("deepchecks_telemetry.")}
        assert modules == {"deepchecks_telemetry.cli", *(f"deepchecks_telemetry.cli.{name}" for name in SHARED)}
    foreign = {name.partition(".")[0] for name in loaded if not name.startswith("_sysconfigdata")}
    assert foreign - sys.stdlib_module_names <= LIGHT
    heavy = {"asyncio", "http", "multiprocessing", "ssl"}
    if "--version" not in arguments:
        heavy |= {"email", "importlib.metadata", "zipfile"}  # 30 ms, a third of `status`
    assert loaded & heavy == set()


@pytest.mark.parametrize("group", [[], ["collector"]], ids=["telemetry", "collector"])
def test_a_group_without_a_command_prints_its_help(group: list[str], deepchecks: Run) -> None:
    done, help_text = deepchecks(*group), deepchecks(*group, "--help").stdout
    assert (done.returncode, done.stderr.strip()) == (2, help_text.strip())


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion(program: Run) -> None:
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
def test_a_usage_error_exits_with_2_and_prints_nothing_on_stdout(arguments: str, deepchecks: Run, home: Path) -> None:
    done = deepchecks(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: deepchecks telemetry" in done.stderr
    assert "Traceback" not in done.stderr
    assert not home.exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_commands_work_on_a_terminal_without_utf_8(encoding: str, python: Run, tmp_path: Path) -> None:
    variables = {"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "日"), "PYTHONIOENCODING": encoding}
    assert python("-c", RECORD, **variables).stdout == "True\n"
    for command in ("status", "inspect", "catalogue", "sent", "--help", "disable"):
        done = python("-m", "deepchecks_telemetry.cli", "telemetry", command, **variables)
        assert (done.returncode, done.stderr) == (0, ""), command
        # click assumes that ASCII is a misconfiguration, and writes UTF-8; on Windows files and pipes are UTF-8.
        is_utf_8 = encoding == "ascii" or os.name == "nt"
        assert command != "status" or ("日" if is_utf_8 else r"\u65e5") in done.stdout
