"""Many processes share one spool: threads, forks, spawned and killed ones, several interpreters, first records."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent

Run = Callable[..., str]
RECORD = "from deepchecks_telemetry.spool import record; assert record('run-check')\n"
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# The parent closes the spool, another process opens and closes it as the last one, and then the child continues.
ORPHAN = """
import os, subprocess, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import record as recording
assert record("run-check")
ready, go = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    try:
        assert record("run-suite")
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        assert all(record("run-suite") for _ in range(5))
        os._exit(0)
    finally:
        os._exit(1)
os.close(ready[1])
os.read(ready[0], 1)
recording.close()
subprocess.run([sys.executable, "-c", sys.argv[2], sys.argv[1]], check=True)
os.write(go[1], b"1")
assert os.waitpid(pid, 0)[1] == 0
"""
STRANGER = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("UPDATE spool SET failures = 1")
connection.close()
"""

# The child is forked while other threads record; it must not inherit a lock that one of them holds.
CROWD = """
import filelock  # what a thread imports during a fork, CPython's own hooks stumble over
import os, threading, warnings
from deepchecks_telemetry.spool import record
warnings.simplefilter("ignore")
results, done = [], threading.Event()
def work():
    while not done.is_set():
        results.append(record("run-check"))
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
children = []
try:
    for _ in range(15):
        pid = os.fork()
        if pid == 0:
            os._exit([record("run-suite") for _ in range(3)].count(True))
        children.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
finally:
    done.set()
    for thread in threads: thread.join()
print(results.count(True), sum(children))
"""

# A fork outside Python, as in a server that embeds it.
UNSEEN = """
import ctypes, os, time
from deepchecks_telemetry.spool import record
assert record("run-check")
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    started = time.monotonic()
    results = [record("run-suite") for _ in range(3)]
    os._exit(not all(results) or time.monotonic() - started > 0.5)
assert os.waitpid(pid, 0)[1] == 0
assert record("run-check")
"""

# Another thread is inside SQLite for longer than a fork waits, as in a fold on a slow disk.
INSIDE = """
import os, sys, threading, time, warnings
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.recording import record as recording
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
assert record("run-check")
def fold():
    lock = recording._guard.take()
    recording._writer._session.raw.execute(slow).fetchone()
    lock.release()
recording._guard.holders.add(fold.__code__)
slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000000) SELECT max(i) FROM n"
thread = threading.Thread(target=fold)
thread.start()
time.sleep(0.05)
pid = os.fork()
if pid == 0:
    sys.exit(record("run-suite"))  # and the interpreter frees all that it can
thread.join(0)
assert thread.is_alive(), "it was not inside any more"
deadline = time.monotonic() + 20
while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
    assert time.monotonic() < deadline or os.kill(pid, 9), "the child hangs"
    time.sleep(0.01)
assert ended[1] == 0, ended
thread.join()
assert record("run-check")
"""

POOL = """
import multiprocessing, sys
from deepchecks_telemetry.spool import record
if __name__ == "__main__":
    assert record("run-check")
    context = multiprocessing.get_context(sys.argv[1])
    workers = [context.Process(target=record, args=("run-suite",)) for _ in range(3)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert record("run-check")
"""

# All of them have imported everything and wait at a barrier, a read that the test ends.
STARTERS = """
import filelock, os, sys
from deepchecks_telemetry.spool.consent import resource as environment
from deepchecks_telemetry.spool import record
pids = []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os.read(0, 1)
        os._exit(not record("run-check"))
    pids.append(pid)
print("ready", flush=True)
print([os.waitpid(pid, 0)[1] for pid in pids].count(0))
"""


def counts(home: Home) -> dict[str, int]:
    return {waiting.event: waiting.count for waiting in read_unsent(home)}


@forks
def test_a_forked_childs_events_survive_its_parents_connection(dirs: Home, run: Run) -> None:
    """A fork copies SQLite's count of locks but not the locks, so another process's last close would delete the WAL."""
    run(ORPHAN, dirs.spool, STRANGER)
    assert counts(dirs) == {"run-check": 1, "run-suite": 6}


@forks
def test_a_child_forked_beside_threads_records_and_does_not_hang(dirs: Home, run: Run) -> None:
    results, children = map(int, run(CROWD).split())
    assert counts(dirs) == {"run-check": results, "run-suite": children}
    assert 36 <= children <= 45  # a child whose fork timed out waiting for a thread inside SQLite records nothing
    assert read_accounts(dirs).balance == 0


@forks
def test_a_child_forked_while_a_thread_is_inside_sqlite_records_nothing(dirs: Home, run: Run) -> None:
    run(INSIDE)
    assert counts(dirs) == {"run-check": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a C library in which fork can be called like this")
def test_a_child_of_a_fork_outside_python_records_and_harms_nothing(dirs: Home, run: Run) -> None:
    run(UNSEEN)
    assert counts(dirs) == {"run-check": 2, "run-suite": 3}
    assert read_accounts(dirs).balance == 0


@pytest.mark.parametrize("method", ["spawn", *(["fork", "forkserver"] if hasattr(os, "fork") else [])])
def test_workers_of_every_start_method_record(dirs: Home, run: Run, method: str, tmp_path: "os.PathLike[str]") -> None:
    script = os.path.join(tmp_path, "pool.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(POOL)
    done = subprocess.run([sys.executable, script, method], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(dirs) == {"run-check": 2, "run-suite": 3}


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(0)", "os.abort()"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_acknowledged_events_survive_every_kind_of_exit(dirs: Home, end: str) -> None:
    code = f"import os, resource, signal, sys\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n{RECORD}{end}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode
    assert ended in (0, -signal.SIGKILL, -signal.SIGABRT)
    assert counts(dirs) == {"run-check": 1}


def test_interpreters_of_several_versions_share_one_spool(
    dirs: Home, run: Run, pythons: list[str], sources: str
) -> None:
    if len(pythons) < 2:
        pytest.skip("only one supported Python is installed")
    for python in pythons * 2:
        run(RECORD, python=python, PYTHONPATH=sources)
    found = {waiting.environment.python_version: waiting.count for waiting in read_unsent(dirs)}
    assert set(found.values()) == {2}
    assert len(found) == len(pythons)


@forks
def test_a_hundred_simultaneous_first_records_create_one_spool(dirs: Home, pythons: list[str], sources: str) -> None:
    share = -(-100 // len(pythons))
    barrier, release = os.pipe()
    environ = os.environ | {"PYTHONPATH": sources}
    starters = [
        subprocess.Popen(
            [python, "-c", STARTERS, str(share)], stdin=barrier, stdout=subprocess.PIPE, text=True, env=environ
        )
        for python in pythons
    ]
    os.close(barrier)
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    assert not os.path.exists(dirs.state)
    os.close(release)
    results = [int(starter.communicate(timeout=60)[0]) for starter in starters]
    stats = read_accounts(dirs)
    assert (stats.pending, stats.dropped, stats.balance) == (sum(results), {}, 0)
    assert sum(results) > 0  # not all: with a spool, a process waits only 80 ms for the others, then drops
    assert min(os.listdir(dirs.state)) == "spool.db"
    assert not [name for name in os.listdir(dirs.state) if name.startswith("spool.db.")]
