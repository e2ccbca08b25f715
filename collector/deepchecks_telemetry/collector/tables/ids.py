"""Stores values that many rows share once, and returns their id."""

import sqlite3
from collections.abc import Sequence


def id_of(connection: sqlite3.Connection, table: str, columns: Sequence[str], values: Sequence[object]) -> int:
    """The id of these values in a table, where they are added if they are new."""
    where = " AND ".join(f"{column} = ?" for column in columns)
    found: tuple[int] | None = connection.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()  # noqa: S608
    if found:
        return found[0]
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    added = connection.execute(insert, values).lastrowid
    assert added is not None  # noqa: S101 — for mypy
    return added
