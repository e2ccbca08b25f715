"""A spool's schema can do nothing: it has plain tables and indexes of plain columns, and whatever else is refused.

A file can come from elsewhere, or be edited. A trigger would run with each record, a view stand in the place of a
table, an expression be computed with each row, and none of them need ever end.
"""

import re
from collections.abc import Iterable

NAME = r'(?:\w+|"\w+"|\[\w+\])'
NAMES = rf"\(\s*{NAME}(?:\s*,\s*{NAME})*\s*\)"
# Ours, and what a newer version may add to them by then: no more than columns with a type and a number as default.
COLUMN = rf"{NAME}(?: (?:INTEGER|TEXT|BLOB|REAL))?(?: NOT NULL| PRIMARY KEY| DEFAULT \d+| CHECK \(id = 1\))*"
PART = rf"(?:{COLUMN}|(?:PRIMARY KEY|UNIQUE) {NAMES})"
TABLE = re.compile(rf"CREATE TABLE {NAME} ?\(\s*{PART}(?:\s*,\s*{PART})*\s*\)(?: WITHOUT ROWID)?", re.IGNORECASE)
INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {NAME}\s+ON {NAME} ?{NAMES}", re.IGNORECASE)


def is_harmless(schema: Iterable[tuple[str, str | None]]) -> bool:
    """Whether types and texts of `sqlite_master` are those of tables and indexes that only hold what is put there."""
    return all(_is_plain(kind, text) for kind, text in schema)


def _is_plain(kind: object, text: object) -> bool:
    if kind == "index" and text is None:
        return True  # SQLite's own, of a key
    pattern = {"table": TABLE, "index": INDEX}.get(str(kind))
    return pattern is not None and isinstance(text, str) and pattern.fullmatch(text) is not None
