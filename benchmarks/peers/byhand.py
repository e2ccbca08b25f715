"""A bare INSERT by hand with the settings of this package, as the lower limit. It only stores."""

# ruff: noqa: ARG002

from benchmarks.peers import Adapter

SETTINGS = """
PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, day INTEGER, event INTEGER, environment INTEGER);
"""
INSERT = "INSERT INTO events (day, event, environment) VALUES (?, ?, ?)"


class Peer(Adapter):
    NAME = "a bare INSERT by hand"
    SENDS = False

    def setup(self, url: str, folder: str) -> None:
        import sqlite3
        import time

        self.connection = sqlite3.connect(f"{folder}/events.db", isolation_level=None)
        end = time.monotonic() + 5
        while True:
            try:
                self.connection.executescript(SETTINGS)
                break
            except sqlite3.OperationalError:  # while another process enables WAL, SQLite fails immediately
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)
        self.execute = self.connection.cursor().execute

    def record(self, event: str) -> None:
        self.execute(INSERT, (20_000, 2, 1))

    def stored(self, folder: str) -> int:
        self.setup("", folder)
        return int(self.execute("SELECT count(*) FROM events").fetchone()[0])
