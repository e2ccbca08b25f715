"""A process with nothing of ours: works and writes to a SQLite file of its own, and reports how slow this machine is.

python control.py DATABASE REPORT
"""

import signal
import sqlite3
import sys
import time
from pathlib import Path


def main(database: str, report: str) -> None:
    """Compute for 5 of each 50 ms, insert a row and make a file, until SIGTERM; then report the slowest round."""
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE row (id INTEGER)")
    print("ready", flush=True)
    slowest_s = 0.0
    while running:
        begun = time.perf_counter()
        work_until = time.thread_time() + 0.005
        while time.thread_time() < work_until:
            pass
        connection.execute("INSERT INTO row VALUES (1)")
        Path(f"{report}.new").write_text("1")  # a file system may keep whoever makes or removes a file for longer
        Path(f"{report}.new").unlink()
        slowest_s = max(slowest_s, time.perf_counter() - begun)
        time.sleep(0.045)
    Path(report).write_text(str(slowest_s * 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
