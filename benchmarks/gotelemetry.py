"""Compares this package with golang.org/x/telemetry, Go's own telemetry: go/main.go does what the code below does.

Both are started with the same acts, each in a home of its own; the programs of Go are built at the start of a run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

SOURCES = Path(__file__).with_name("go")
MACHINE = SOURCES.parents[1] / "tests" / "machine"
MODULE = "golang.org/x/telemetry"
CALLS, TOGETHER, PROCESSES = 100_000, 1_000, 4
TIMEOUT_S, BUILD_S = 120.0, 600.0
COUNT = """
import json, sys, time
from deepchecks_telemetry.spool import record
record("run-check")
clock, times = time.perf_counter_ns, []
for _ in range(int(sys.argv[2]) - 1):
    start = clock()
    record("run-check")
    times.append(clock() - start)
times.sort()
shares = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999, "max_ns": 1}
print(json.dumps({name: times[int(share * (len(times) - 1))] for name, share in shares.items()}))
"""
KILL = "import os\nfrom deepchecks_telemetry.spool import record\nrecord('run-check')\nos.kill(os.getpid(), 9)"
READ = """
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
print('"benchmark/event":', read_accounts(find_home()).pending)
"""
COUNTED = re.compile(r'"benchmark/event": (\d+)')
# A file system of 1 MiB in a mount namespace of its own; it has room for the store, and is full afterwards.
MOUNT = 'mount -t tmpfs -o size=1m none "$0" && "$@"'
SMALL_DISK = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT)


class Subject(NamedTuple):
    """The commands of one side: count N, kill, read what is stored, opt out."""

    program: tuple[str, ...]
    kill: tuple[str, ...]
    read: tuple[str, ...]
    opt_out: tuple[str, ...]


def build(folder: Path) -> dict[str, str]:
    """Build the program and `gotelemetry` with the network; the paths and versions, or an error."""
    if shutil.which("go") is None:
        return {"error": "Go is not installed"}
    for target in (".", f"{MODULE}/cmd/gotelemetry"):
        command = ["go", "build", "-o", str(folder / "go") + os.sep, target]
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=BUILD_S, check=False)
        if done.returncode:
            return {"error": (done.stderr.splitlines() or ["go build failed"])[-1]}
    version = _ask("go", "list", "-m", "-f", "{{.Version}}", MODULE)
    tool = os.path.realpath(str(shutil.which("go")))
    return {"folder": str(folder / "go"), "version": version, "go": _ask("go", "env", "GOVERSION"), "command": tool}


def measure(built: dict[str, str], python: str) -> dict[str, Any]:
    """All facts of both sides."""
    if "error" in built:
        return {"not_measured": built["error"]}
    go = Path(built["folder"])
    telemetry = (python, "-m", "deepchecks_telemetry.cli", "telemetry")
    subjects = {
        "ours": Subject((python, "-c", COUNT), (python, "-c", KILL), (python, "-c", READ), (*telemetry, "disable")),
        "go": Subject(
            (str(go / "benchmark"),),
            (str(go / "benchmark"), "kill"),
            (str(go / "gotelemetry"), "dump"),
            (str(go / "gotelemetry"), "off"),
        ),
    }
    measured = {name: _measure(subject) for name, subject in subjects.items()}
    return {"version": built["version"], "go_version": built["go"], **measured}


def _measure(subject: Subject) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        home = Path(folder)
        report = json.loads(_run(home, *subject.program, "count", str(CALLS)).stdout)
        before = _read(home, subject)
        return {
            **report,
            "four_processes": _together(home, subject) - before,
            "killed": _killed(home, subject),
            "full_disk": _full_disk(home, subject),
            "opted_out": _opted_out(home, subject),
        }


def _together(home: Path, subject: Subject) -> int:
    command = [*subject.program, "count", str(TOGETHER)]
    running = [subprocess.Popen(command, env=_environ(home), stdout=subprocess.DEVNULL) for _ in range(PROCESSES)]
    for process in running:
        process.wait(TIMEOUT_S)
    return _read(home, subject)


def _killed(home: Path, subject: Subject) -> bool:
    """Whether an event is stored whose process was killed immediately afterwards."""
    before = _read(home, subject)
    _run(home, *subject.kill, check=False)
    return _read(home, subject) == before + 1


def _full_disk(home: Path, subject: Subject) -> dict[str, int] | None:
    """How many of a thousand events are stored that a program counts on a full disk, and its exit code."""
    disk = home / "disk"
    disk.mkdir()
    done = _run(home, *SMALL_DISK, str(disk), sys.executable, "-c", FILLED, json.dumps(subject), str(disk), check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


FILLED = f"""
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(SOURCES.parents[1])!r})
from benchmarks.gotelemetry import fill_disk, Subject
print(json.dumps(fill_disk(Path(sys.argv[2]), Subject(*json.loads(sys.argv[1])))))
"""


def fill_disk(home: Path, subject: Subject) -> dict[str, int]:
    """Count some events, fill the disk, count others; runs in a mount namespace."""
    _run(home, *subject.program, "count", "10")
    with (home / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass
    before = _read(home, subject)
    done = _run(home, *subject.program, "count", str(TOGETHER), check=False)
    (home / "fill").unlink()
    return {"exit_code": done.returncode, "stored": _read(home, subject) - before}


def _opted_out(home: Path, subject: Subject) -> dict[str, int]:
    """What is left after the user has opted out."""
    before = _files(home)
    _run(home, *subject.opt_out)
    files = _files(home)
    return {
        "bytes_before": sum(map(len, before.values())),
        "files": len(files),
        "bytes": sum(map(len, files.values())),
        "events": _read(home, subject),
    }


def _files(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def _read(home: Path, subject: Subject) -> int:
    return sum(map(int, COUNTED.findall(_run(home, *subject.read).stdout)))


def _run(home: Path, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=_environ(home), capture_output=True, text=True, timeout=TIMEOUT_S, check=check, cwd=home
    )


def _environ(home: Path) -> dict[str, str]:
    # `disable` also writes to the directories of the user database, which must not be those of the user who runs this.
    ours = {"DEEPCHECKS_TELEMETRY_DIR": str(home / "ours"), "PYTHONPATH": str(MACHINE)}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **ours}


def _ask(*command: str) -> str:
    return subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
