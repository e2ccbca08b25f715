"""A hostile spool file cannot run code or block its reader: it has only plain tables, and SQLite's steps are limited.

The file can come from elsewhere, or be edited. A trigger would run with each record, a view could replace a table, an
expression would be computed with each row, and a tree whose pages form a cycle has no last row.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain, repeat

from deepchecks_telemetry.spool.errors import Damaged

# Steps of SQLite's virtual machine, 30 million a second: the limits in a host and in a command. An append takes 30,
# folding a million events 23 million.
HOST_VM_STEPS, COMMAND_VM_STEPS, STEPS = 100_000_000, 1_000_000_000, 1_000_000

NAME = r'(?:\w+|"\w+"|\[\w+\])'
NAMES = rf"\(\s*{NAME}(?:\s*,\s*{NAME})*\s*\)"
# Our tables, and what a newer version may add to them: only columns with a type, and a number as default.
COLUMN = rf"{NAME}(?: (?:INTEGER|TEXT|BLOB|REAL))?(?: NOT NULL| PRIMARY KEY| DEFAULT \d+| CHECK \(id = 1\))*"
PART = rf"(?:{COLUMN}|(?:PRIMARY KEY|UNIQUE) {NAMES})"
TABLE = rf"CREATE TABLE {NAME} ?\(\s*{PART}(?:\s*,\s*{PART})*\s*\)(?: WITHOUT ROWID)?"
INDEX = rf"CREATE (?:UNIQUE )?INDEX {NAME}\s+ON {NAME} ?{NAMES}"
HARMLESS = {"table": TABLE, "index": INDEX}


def limit_vm_steps(connection: sqlite3.Connection, steps: int) -> None:
    """Limit the total steps of the connection's next statements; beyond it SQLite raises "interrupted"."""
    # Everything here is written in C. In a Python function a signal handler of the host could raise; SQLite would turn
    # that into "interrupted" as well, and the exception would be lost.
    connection.set_progress_handler(chain(repeat(0, steps // STEPS), repeat(1)).__next__, STEPS)


def check_shape(connection: sqlite3.Connection, known: Sequence[str]) -> None:
    """Raise `Damaged` if the schema does more than store rows; the `known` statements need no further check."""
    schema = connection.execute("SELECT type, sql FROM sqlite_master").fetchall()
    if [text for _, text in schema if text is not None] == known:
        return
    if not all(_is_harmless(kind, text) for kind, text in schema):
        raise Damaged("the spool file has triggers, views or expressions, so it is not a valid spool")


def _is_harmless(kind: object, text: object) -> bool:
    if kind == "index" and text is None:
        return True  # SQLite's own index of a key
    import re  # takes 4 ms in a bare interpreter; not needed for a schema that equals ours

    pattern = HARMLESS.get(str(kind))
    return pattern is not None and isinstance(text, str) and bool(re.fullmatch(pattern, text, re.IGNORECASE))
