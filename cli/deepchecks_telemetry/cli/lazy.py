"""A click group that imports a command when it runs: `--help` and a mistyped name import none of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from deepchecks_telemetry.cli.errors import Group

PACKAGE = "deepchecks_telemetry.cli"


class LazyGroup(Group):
    """`table` maps a command's name to its module, which defines the command under that name, and its short help.

    `aliases` maps other names, which are not listed, to names in the table.
    """

    def __init__(
        self, *args: Any, table: Mapping[str, tuple[str, str]], aliases: Mapping[str, str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.table, self.aliases = table, aliases

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """The names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        name = self.aliases.get(cmd_name, cmd_name)
        if name not in self.table:
            return None
        command: click.Command = getattr(import_module(f"{PACKAGE}.{self.table[name][0]}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
