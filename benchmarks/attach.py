"""What attaching costs, as ratios in one run: deepchecks' import in three ways, an idle interpreter, a wrapped call.

    python benchmarks/attach.py            # two minutes, where deepchecks is installed; prints one JSON document

The ways take turns, so that a machine that is busy for a while is busy for all of them. deepchecks' server is a listener
on this machine that never answers: nothing leaves. Nothing of it is a test: absolute times are the machine's.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import venv
from collections.abc import Callable
from pathlib import Path

IMPORTS, IDLES, CALLS = 11, 80, 20_000
ATTACHED, CALL_OFF, RELEASED = "attached", "not attached, its call off", "not attached, as released"
# Every host name leads to the listener: connected at once, answered never.
CODE = """
import socket, sys, time
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda *_, **__: resolve("127.0.0.1", int(sys.argv[1]), type=socket.SOCK_STREAM)
start = time.perf_counter()
if sys.argv[2] == "attached":
    from deepchecks_telemetry.hooks import attach
    attach()
import deepchecks
print(time.perf_counter() - start)
"""


def main() -> None:
    """Run all and print the figures."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        figures = {
            "import of deepchecks": _imports(Path(folder), listener.getsockname()[1]),
            "interpreter that does not import it": _idle(Path(folder)),
            "wrapped call": _wrapper(),
        }
    print(json.dumps(figures, indent=2))


def _imports(folder: Path, port: int) -> dict[str, float]:
    from deepchecks_telemetry.hooks import deepchecks_folder

    installed = deepchecks_folder()
    if installed is None:
        raise SystemExit("Error: deepchecks is not installed here. Install it and run this again.")
    # A copy: as released it writes a file beside its code.
    shutil.copytree(installed, folder / "copy" / "deepchecks", ignore=shutil.ignore_patterns("__pycache__"))
    unwanted = ("DEEPCHECKS_", "DISABLE_", "DO_NOT_TRACK", "PYTHON")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    clean |= {"PYTHONPATH": str(folder / "copy"), "DEEPCHECKS_TELEMETRY_DIR": str(folder / "home")}
    ways = {ATTACHED: clean, CALL_OFF: clean | {"DISABLE_LATEST_VERSION_CHECK": "1"}, RELEASED: clean}

    def load(way: str) -> float:
        command = [sys.executable, "-W", "ignore", "-c", CODE, str(port), way]
        return float(subprocess.run(command, env=ways[way], capture_output=True, text=True, check=True).stdout)

    times = _in_turn({way: lambda way=way: load(way) for way in ways}, IMPORTS)  # type: ignore[misc]
    return {
        **{f"{way}, s": round(statistics.median(taken), 3) for way, taken in times.items()},
        "attached / its call off": round(_ratio(times[ATTACHED], times[CALL_OFF]), 3),
        "its call off / its call off": round(_ratio(times[CALL_OFF][::2], times[CALL_OFF][1::2]), 3),
        "as released - attached, s": round(_difference(times[RELEASED], times[ATTACHED]), 3),
    }


def _idle(folder: Path) -> dict[str, float]:
    """The wall clock of `python -I -c pass` in two environments that differ by the opt-in file."""
    from deepchecks_telemetry.hooks import install_file

    for name in ("bare", "opted-in"):
        venv.create(folder / name, symlinks=os.name == "posix")
    (packages,) = [*folder.glob("opted-in/lib/python*/site-packages"), *folder.glob("opted-in/Lib/site-packages")]
    install_file(packages)

    def start(name: str) -> float:
        python = folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        before = time.perf_counter()
        subprocess.run([python, "-I", "-c", "pass"], check=True)
        return time.perf_counter() - before

    times = _in_turn({"bare": lambda: start("bare"), "opted in": lambda: start("opted-in")}, IDLES)
    return {
        **{f"{way}, ms": round(statistics.median(taken) * 1e3, 2) for way, taken in times.items()},
        "added, ms": round(_difference(times["opted in"], times["bare"]) * 1e3, 2),
        "added to the fastest, ms": round((min(times["opted in"]) - min(times["bare"])) * 1e3, 2),
    }


def _wrapper() -> dict[str, float]:
    """A method beside the same one wrapped, with a record that does nothing."""
    from deepchecks_telemetry.hooks import count

    count._recorder = lambda: len  # type: ignore[assignment]

    def method(self: object, number: int = 0, *, fail: bool = False) -> int:
        return number

    calls: dict[str, Callable[..., int]] = {
        "plain": method,
        "run": count.counted_run(method, "run-check"),
        "export": count.counted_export(method, "check-to-html"),
    }
    best = {
        name: min(timeit.repeat(lambda call=call: call(None, 1, fail=False), number=CALLS, repeat=9)) / CALLS * 1e9
        for name, call in calls.items()
    }
    return {f"{name}, ns": round(taken) for name, taken in best.items()}


def _in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each way once, and again; the first round only warms the caches."""
    for call in ways.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            taken[name].append(call())
    return taken


def _ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(one) / statistics.median(other)


def _difference(one: list[float], other: list[float]) -> float:
    """The median of what neighbours in time differ by."""
    return statistics.median(a - b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
