"""A process with nothing of ours: writes to a SQLite file of its own, and reports how long the machine kept it waiting.

python control.py DATABASE REPORT
"""

import signal
import sqlite3
import sys
import time
from pathlib import Path


def main(database: str, report: str) -> None:
    """Insert a row every two milliseconds until SIGTERM; then report the slowest round."""
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE row (id INTEGER)")
    print("ready", flush=True)
    slowest_s = 0.0
    while running:
        begun = time.perf_counter()
        connection.execute("INSERT INTO row VALUES (1)")
        time.sleep(0.002)
        slowest_s = max(slowest_s, time.perf_counter() - begun)
    Path(report).write_text(str(slowest_s * 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
