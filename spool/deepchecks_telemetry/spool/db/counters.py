"""Totals that outlive the rows they were counted from."""

import sqlite3


def add_tally(connection: sqlite3.Connection, name: str, count: int) -> None:
    """Add to one of the totals that outlive the rows they were counted from."""
    if not count:
        return
    connection.execute(
        "INSERT INTO tallies (name, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (name, count),
    )
