"""A process without this package computes, writes to its own SQLite file and reports how slow the machine is.

python control.py DATABASE REPORT
"""

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path


def main(database: str, report: str) -> None:
    """Until SIGTERM compute for 5 of each 50 ms, insert a row, make and remove a file; report the slowest round."""
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
        with open(f"{report}.new", "wb", buffering=0) as file:
            file.write(bytes(65536))
            os.fdatasync(file.fileno())  # as SQLite does with the first frame of a WAL; gives the file its blocks
        Path(f"{report}.new").unlink()  # where the file system discards blocks, this waits for the device
        slowest_s = max(slowest_s, time.perf_counter() - begun)
        time.sleep(0.045)
    Path(report).write_text(str(slowest_s * 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
