"""The manual page is rendered without a warning, and has every command, option, variable and file."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from deepchecks_telemetry.cli import deepchecks
from deepchecks_telemetry.cli.setup.help import FILES, VARIABLES

PAGE = Path(__file__).parents[2] / "docs" / "deepchecks.1"


@pytest.fixture
def rendered(tool: Callable[[str], str]) -> str:
    # A wide line, so that no name is broken; all warnings.
    command = [tool("groff"), "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=500n", str(PAGE)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def described(command: click.Command, path: str) -> Iterator[str]:
    """The path of each command, and its options."""
    yield path
    context = click.Context(command)
    for option in command.params:
        yield from option.opts if isinstance(option, click.Option) else ()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from described(child, f"{path} {name}")


def test_the_page_has_every_command_option_variable_and_file(rendered: str) -> None:
    assert "deepchecks telemetry collector report" in rendered
    found = described(deepchecks, "deepchecks")
    expected = {*found, *(file.path for file in FILES), *(row.name for row in VARIABLES)}
    heads = re.findall(r"^ +((?:-\S+, )?\S.*)$", rendered, re.MULTILINE)  # an option begins a line
    starts = {part for head in heads for part in (head, head.partition(", ")[2])}
    assert [text for text in sorted(expected) if not any(start.startswith(text) for start in starts)] == []


def test_no_markup_is_left_in_the_text(rendered: str) -> None:
    assert re.findall(r"\\[\w&-]|\x08|^ *\.[A-Z]{2}\b", rendered, re.MULTILINE) == []
    assert "\n         deepchecks telemetry status --short\n" in rendered  # the lines of an example are not joined
