"""What attaching costs, as ratios in one run: deepchecks' import in three ways, an idle interpreter, a wrapped call.

    python benchmarks/attach.py            # three minutes, where deepchecks is installed; prints one JSON document

The ways take turns, so that a machine that is busy for a while is busy for all of them, and CPU time is compared, but
for the wait that is saved. deepchecks' server is a listener on this machine that never answers: nothing leaves.
Nothing of it is a test: absolute times are the machine's, only the ratios travel. POSIX only.
"""

import functools
import json
import os
import resource
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
from typing import NamedTuple

IMPORTS, IDLES, CALLS = 8, 80, 20_000
ATTACHED, CALL_OFF, RELEASED = "attached", "not attached, its call off", "not attached, as released"
# Every host name leads to the listener: connected at once, answered never.
CODE = """
import socket, sys, time
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda *_, **__: resolve("127.0.0.1", int(sys.argv[1]), type=socket.SOCK_STREAM)
wall, cpu = time.perf_counter(), time.process_time()
if sys.argv[2] == "attached":
    from deepchecks_telemetry.hooks import attach
    attach()
import deepchecks
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


class Cost(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float


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

    def load(way: str) -> Cost:
        command = [sys.executable, "-W", "ignore", "-c", CODE, str(port), way]
        done = subprocess.run(command, env=ways[way], capture_output=True, text=True, check=True)
        return Cost(*map(float, done.stdout.split()))

    costs = _in_turn({way: functools.partial(load, way) for way in ways}, IMPORTS)
    cpu = {way: [each.cpu_s for each in taken] for way, taken in costs.items()}
    wall = {way: [each.wall_s for each in taken] for way, taken in costs.items()}
    return {
        **{f"{way}, CPU s": round(statistics.median(taken), 3) for way, taken in cpu.items()},
        "attached / its call off": round(_ratio(cpu[ATTACHED], cpu[CALL_OFF]), 3),
        "noise: its call off / its call off": round(_ratio(cpu[CALL_OFF][::2], cpu[CALL_OFF][1::2]), 3),
        "wall clock saved against as released, s": round(_difference(wall[RELEASED], wall[ATTACHED]), 2),
    }


def _idle(folder: Path) -> dict[str, float]:
    """The CPU of `python -I -c pass` in two environments that differ by the attach file."""
    from deepchecks_telemetry.hooks import install_file

    for name in ("bare", "attached"):
        venv.create(folder / name, symlinks=True)
    (packages,) = folder.glob("attached/lib/python*/site-packages")
    install_file(packages)

    def start(name: str) -> Cost:
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([folder / name / "bin" / "python", "-I", "-c", "pass"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(time.perf_counter() - wall, cpu)

    costs = _in_turn({name: functools.partial(start, name) for name in ("bare", "attached")}, IDLES)
    bare, with_file = ([each.cpu_s * 1e3 for each in costs[name]] for name in ("bare", "attached"))
    return {
        "bare, CPU ms": round(statistics.median(bare), 2),
        "attached, CPU ms": round(statistics.median(with_file), 2),
        "added, ms": round(_difference(with_file, bare), 2),
        "added to the fastest, ms": round(min(with_file) - min(bare), 2),
    }


def _wrapper() -> dict[str, float]:
    """A method beside the same one wrapped, with a record that does nothing."""
    from deepchecks_telemetry.hooks import wrappers

    vars(wrappers)["_recorder"] = lambda: len

    def method(number: int = 0, *, fail: bool = False) -> bool:
        return fail or bool(number)

    calls: dict[str, Callable[..., bool]] = {
        "plain": method,
        "run": wrappers.count_run(method, "run-check"),
        "export": wrappers.count_export(method, "check-to-html"),
    }
    best = {name: min(timeit.repeat(lambda: call(1), number=CALLS, repeat=9)) for name, call in calls.items()}  # noqa: B023
    return {f"{name}, ns": round(taken / CALLS * 1e9) for name, taken in best.items()}


def _in_turn(ways: dict[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Each way once, and again; the first round only warms the caches."""
    for call in ways.values():
        call()
    taken: dict[str, list[Cost]] = {name: [] for name in ways}
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
