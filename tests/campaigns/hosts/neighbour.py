"""Another program on the same spool: it uses only SQLite, like a database browser.

    python neighbour.py SPOOL hold|flicker|read

`hold` keeps a write transaction open, `flicker` opens one for 3 of each 6 ms, `read` keeps a read transaction open.
It prints "ready" and goes on until its input ends.
"""

import select
import sqlite3
import sys
import time


def main(spool: str, what: str) -> None:
    """Take the lock, and keep it until the input ends."""
    connection = sqlite3.connect(spool, isolation_level=None, timeout=10)
    begin(connection, what)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0 if what == "flicker" else None)[0]:
        time.sleep(0.003)
        connection.execute("ROLLBACK")
        time.sleep(0.003)
        begin(connection, what)
    connection.close()


def begin(connection: sqlite3.Connection, what: str) -> None:
    """Begin to write, or to read."""
    connection.execute("BEGIN" if what == "read" else "BEGIN IMMEDIATE")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


if __name__ == "__main__":
    main(*sys.argv[1:])
