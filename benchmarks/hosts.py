"""What a host pays for the uploader: a process that imports, records and exits, against endpoints that behave badly.

    python benchmarks/hosts.py             # two minutes; prints one JSON document

Each round runs every kind once, so that a slow minute of the machine is everybody's; only the ratios to mode `local`
travel. `due` is the one import a day that starts the detached child, all the others only look.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

ROUNDS = 30
SETTLE_S = 1.0  # the child's own start, at the lowest priority, must not fall into the next measurement
HOST = """
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader import upload_if_due
assert record("package-import")
upload_if_due()
"""


def main() -> None:
    """Measure all kinds, and print medians in milliseconds and their ratios to mode `local`."""
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], float]] = {
            "local": lambda: _run(folder, "local", None),
            "not due": lambda: _run(folder, "on", _dead(), due=False),
            "due, dead": lambda: _run(folder, "on", _dead()),
            "due, black hole": lambda: _run(folder, "on", _listen(_swallow)),
            "due, dripping": lambda: _run(folder, "on", _listen(_drip)),
        }
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for turn in range(ROUNDS + 1):
            for name, run in kinds.items():
                took = run()
                if turn:  # the first makes the spool and the bytecode
                    times[name].append(took)
    medians = {name: statistics.median(found) for name, found in times.items()}
    spread = {name: _quartiles(found) for name, found in times.items()}
    figures = {
        "median_ms": {name: round(median * 1e3, 1) for name, median in medians.items()},
        "quartiles_ms": spread,
        "ratio_to_local": {name: round(median / medians["local"], 3) for name, median in medians.items()},
    }
    print(json.dumps(figures, indent=2))


def _run(folder: str, mode: str, port: int | None, *, due: bool = True) -> float:
    """One host, from its start to its end, in a home of its own for each kind of endpoint."""
    name = f"{mode}-{port}-{due}"
    environ = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        "DEEPCHECKS_TELEMETRY_DIR": os.path.join(folder, name),
        "DEEPCHECKS_TELEMETRY": mode,
    }
    if port:
        environ["DEEPCHECKS_TELEMETRY_ENDPOINT"] = f"http://127.0.0.1:{port}"
    _set_due(environ["DEEPCHECKS_TELEMETRY_DIR"], due=due)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", HOST], env=environ, check=True)
    took = time.perf_counter() - start
    time.sleep(SETTLE_S if due and port else 0.1)
    return took


def _set_due(folder: str, *, due: bool) -> None:
    import sqlite3

    path = os.path.join(folder, "state", "spool.db")
    if os.path.exists(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        connection.execute("UPDATE spool SET next_upload = ?", (0 if due else int(time.time()) + 3600,))
        connection.close()


_ports: dict[object, int] = {}


def _dead() -> int:
    """A port that refuses: bound, but nobody listens."""
    if _dead not in _ports:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        _ports[_dead] = bound.getsockname()[1]
        _kept.append(bound)
    return _ports[_dead]


_kept: list[socket.socket] = []


def _listen(behave: Callable[[socket.socket], None]) -> int:
    if behave not in _ports:
        listener = socket.create_server(("127.0.0.1", 0))
        _ports[behave] = listener.getsockname()[1]
        threading.Thread(target=_accept, args=(listener, behave), daemon=True).start()
    return _ports[behave]


def _accept(listener: socket.socket, behave: Callable[[socket.socket], None]) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=behave, args=(connection,), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(65_536):
            pass


def _drip(connection: socket.socket) -> None:
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000:
            connection.send(bytes([byte]))
            time.sleep(0.2)


def _quartiles(times: list[float]) -> list[float]:
    low, _, high = statistics.quantiles(times, n=4)
    return [round(low * 1e3, 1), round(high * 1e3, 1)]


if __name__ == "__main__":
    main()
