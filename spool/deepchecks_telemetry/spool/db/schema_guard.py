"""A spool's file can do nothing: its schema only holds what is put there, and no statement on it goes on for ever.

A file can come from elsewhere, or be edited. A trigger would run with each record, a view stand in the place of a
table, an expression be computed with each row, and a tree whose pages lead in circles has no last row.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain, repeat

from deepchecks_telemetry.spool.errors import Damaged

# Of SQLite's machine, 30 million a second: what a host, and what a command, spends on such a file. An append takes 30
# of them, folding a million events 23 million.
HOST_VM_STEPS, COMMAND_VM_STEPS, STEPS = 100_000_000, 1_000_000_000, 1_000_000

NAME = r'(?:\w+|"\w+"|\[\w+\])'
NAMES = rf"\(\s*{NAME}(?:\s*,\s*{NAME})*\s*\)"
# Ours, and what a newer version may add to them: no more than columns with a type, and a number as default.
COLUMN = rf"{NAME}(?: (?:INTEGER|TEXT|BLOB|REAL))?(?: NOT NULL| PRIMARY KEY| DEFAULT \d+| CHECK \(id = 1\))*"
PART = rf"(?:{COLUMN}|(?:PRIMARY KEY|UNIQUE) {NAMES})"
TABLE = rf"CREATE TABLE {NAME} ?\(\s*{PART}(?:\s*,\s*{PART})*\s*\)(?: WITHOUT ROWID)?"
INDEX = rf"CREATE (?:UNIQUE )?INDEX {NAME}\s+ON {NAME} ?{NAMES}"
HARMLESS = {"table": TABLE, "index": INDEX}


def limit_vm_steps(connection: sqlite3.Connection, steps: int) -> None:
    """Let the statements from here on take no more than so many steps together; then SQLite says "interrupted"."""
    # Written in C: in a Python function a signal handler of the host's could raise, which SQLite answers with
    # "interrupted" as well, and its exception would be lost.
    connection.set_progress_handler(chain(repeat(0, steps // STEPS), repeat(1)).__next__, STEPS)


def check_shape(connection: sqlite3.Connection, known: Sequence[str]) -> None:
    """Raise `Damaged` where the schema could do more than hold rows; of the `known` statements nobody has to ask."""
    found = connection.execute("SELECT type, sql FROM sqlite_master").fetchall()
    if [text for _, text in found if text is not None] == known:
        return
    if not all(_is_harmless(kind, text) for kind, text in found):
        raise Damaged("the spool file has triggers, views or expressions, so it is not a valid spool")


def _is_harmless(kind: object, text: object) -> bool:
    if kind == "index" and text is None:
        return True  # SQLite's own, of a key
    import re  # 4 ms in a bare interpreter; nobody asks of a schema that is ours to the letter

    pattern = HARMLESS.get(str(kind))
    return pattern is not None and isinstance(text, str) and bool(re.fullmatch(pattern, text, re.IGNORECASE))
