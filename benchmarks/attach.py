"""What attaching saves and costs: the wait for deepchecks' own request, an idle interpreter, a wrapped call.

    python benchmarks/attach.py            # three minutes, where deepchecks is installed; prints one JSON document

The variants are measured alternately, so that a busy minute affects all of them. deepchecks' server is replaced by a
listener on this machine that never responds, so nothing is sent. `ours/library.py` measures the CPU of a program that
imports deepchecks. This is not a test: absolute times depend on the machine. POSIX only.
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
import timeit
import venv
from collections.abc import Callable
from pathlib import Path

IMPORTS, IDLES, CALLS = 8, 80, 20_000
ATTACHED, RELEASED = "attached", "as released"
# Every host name resolves to the listener, which accepts connections and never responds.
CODE = """
import socket, sys, time
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda *_, **__: resolve("127.0.0.1", int(sys.argv[1]), type=socket.SOCK_STREAM)
wall = time.perf_counter()
if sys.argv[2] == "attached":
    from deepchecks_telemetry.hooks import attach
    attach()
import deepchecks
print(time.perf_counter() - wall)
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
    from deepchecks_telemetry.hooks.compatibility import deepchecks_folder

    installed = deepchecks_folder()
    if installed is None:
        raise SystemExit("Error: deepchecks is not installed here. Install it and run this again.")
    # A copy, because the released one writes a file next to its code.
    shutil.copytree(installed, folder / "copy" / "deepchecks", ignore=shutil.ignore_patterns("__pycache__"))
    unwanted = ("DEEPCHECKS_", "DISABLE_", "DO_NOT_TRACK", "PYTHON")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    clean |= {"PYTHONPATH": str(folder / "copy"), "DEEPCHECKS_TELEMETRY_DIR": str(folder / "home")}

    def load(variant: str) -> float:
        command = [sys.executable, "-W", "ignore", "-c", CODE, str(port), variant]
        done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
        return float(done.stdout)

    wall_s = _measure_alternately({name: functools.partial(load, name) for name in (ATTACHED, RELEASED)}, IMPORTS)
    return {
        **{f"{name}, wall s": round(statistics.median(times), 2) for name, times in wall_s.items()},
        "saved, s": round(_difference(wall_s[RELEASED], wall_s[ATTACHED]), 2),
    }


def _idle(folder: Path) -> dict[str, float]:
    """The CPU of `python -I -c pass` in two environments that differ by the attach file."""
    from deepchecks_telemetry.hooks.pth.file import install_file

    for name in ("bare", "attached"):
        venv.create(folder / name, symlinks=True)
    (packages,) = folder.glob("attached/lib/python*/site-packages")
    install_file(packages)

    def start(name: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([folder / name / "bin" / "python", "-I", "-c", "pass"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)

    cpu_ms = _measure_alternately({name: functools.partial(start, name) for name in ("bare", "attached")}, IDLES)
    bare, with_file = cpu_ms["bare"], cpu_ms["attached"]
    return {
        "bare, CPU ms": round(statistics.median(bare), 2),
        "attached, CPU ms": round(statistics.median(with_file), 2),
        "added, ms": round(_difference(with_file, bare), 2),
        "added to the fastest, ms": round(min(with_file) - min(bare), 2),
    }


def _wrapper() -> dict[str, float]:
    """A method and the same method wrapped, with a `record` that does nothing."""
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


def _measure_alternately(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure all variants in each round; the first round only warms the caches."""
    for call in variants.values():
        call()
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            costs[name].append(call())
    return costs


def _difference(one: list[float], other: list[float]) -> float:
    """The median of the differences of runs of the same round."""
    return statistics.median(a - b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
