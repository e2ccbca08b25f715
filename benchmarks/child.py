"""Runs in one process of a peer: calls one act with the peer's adapter and writes a report; imports little before.

    python -I benchmarks/child.py ACT PEER URL FOLDER REPORT [NUMBER ...]

`processes.py` starts it, in the peer's environment and with its own home.
"""

# ruff: noqa: ARG001 - all acts have the same first parameters

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from benchmarks.peers import Adapter  # main() removes the path again

LOOPBACK = ("127.0.0.1", "::1", "localhost", None)
AUDITED: dict[str, int] = {}


def first(peer: Adapter, url: str, folder: str, report: str) -> None:
    """Import and one record."""
    loaded = set(sys.modules)
    cpu, wall = time.process_time(), time.perf_counter()
    peer.setup(url, folder)
    peer.record(_name("first"))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    _write(report, cpu_s=cpu, wall_s=wall, modules=len(set(sys.modules) - loaded))
    os._exit(0)


def whole(peer: Adapter, url: str, folder: str, report: str) -> None:
    """Import, one event, exit at the end of the standard input, which is kept open to test what is sent meanwhile."""
    peer.setup(url, folder)
    peer.record(_name("whole"))
    peer.finish()
    sys.stdin.read()


def opted_out(peer: Adapter, url: str, folder: str, report: str) -> None:
    """The same for a user who has opted out."""
    peer.opt_out(url, folder)
    peer.record(_name("whole"))
    peer.finish()


def calls(peer: Adapter, url: str, folder: str, report: str, count: float, limit_s: float, pace_s: float) -> None:
    """The time of each of many records, without the first ones; starts at the end of the standard input."""
    peer.setup(url, folder)
    _time(peer, 20, limit_s / 4, 0)
    open(report + ".ready", "w").close()
    sys.stdin.read()
    times, failed = _time(peer, int(count), limit_s, pace_s)
    _write(report, times_s=times, failed=failed)
    os._exit(0)


def many(peer: Adapter, url: str, folder: str, report: str, tag: float, count: float) -> None:
    """Many events in a row, and exit."""
    peer.setup(url, folder)
    for number in range(int(count)):
        peer.record(_name("abcd"[int(tag)], number))
    peer.drain()


def killed(peer: Adapter, url: str, folder: str, report: str) -> None:
    """SIGKILL as soon as `record` has returned, in a process whose threads had time to start."""
    peer.setup(url, folder)
    time.sleep(1)
    peer.record(_name("killed"))
    os.kill(os.getpid(), 9)


def later(peer: Adapter, url: str, folder: str, report: str) -> None:
    """A later process, which records nothing."""
    peer.setup(url, folder)
    peer.resend()


def stored(peer: Adapter, url: str, folder: str, report: str) -> None:
    _write(report, stored=peer.stored(folder))


def left(peer: Adapter, url: str, folder: str, report: str) -> None:
    """What one event leaves in the host: threads after the call; sockets and processes until the exit."""
    import atexit

    atexit.register(lambda: _write(report, threads=threads, sockets=_audited("socket.__new__"), processes=_processes()))
    sys.addaudithook(_audit)
    peer.setup(url, folder)
    peer.record(_name("left"))
    threads = len(os.listdir("/proc/self/task")) - 1
    peer.finish()


def _time(peer: Adapter, count: int, limit_s: float, pace_s: float) -> tuple[list[float], int]:
    times: list[float] = []
    failed = 0
    name, clock = _name("calls"), time.perf_counter
    due = clock()
    end = due + limit_s
    while len(times) < count and clock() < end:
        if pace_s:
            due += pace_s
            time.sleep(max(0.0, due - clock()))
        start = clock()
        try:
            peer.record(name)
        except Exception:  # noqa: BLE001 - exceptions of peers are counted
            failed += 1
        times.append(clock() - start)
    return times, failed


def _audit(event: str, args: tuple[object, ...]) -> None:
    AUDITED[event] = AUDITED.get(event, 0) + 1


def _audited(*events: str) -> int:
    return sum(AUDITED.get(event, 0) for event in events)


def _processes() -> int:
    return _audited("subprocess.Popen", "os.fork", "os.forkpty", "os.system")


def _refuse_other_hosts(event: str, args: tuple[object, ...]) -> None:
    """Without a network namespace: refuse connections to other machines."""
    host: object = None
    if event in ("socket.connect", "socket.sendto"):
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    if host not in LOOPBACK:
        raise OSError(f"the benchmark lets nothing leave this machine: {event} {host}")


def _name(tag: str, number: int = 0) -> str:
    return f"benchmark-{tag}-{number:04d}e"


def _write(report: str, **values: object) -> None:
    import json

    with open(report, "w", encoding="utf-8") as file:
        json.dump(values, file)


def main() -> None:
    act, name, url, folder, report, *numbers = sys.argv[1:]
    peer: Adapter = __import__(f"benchmarks.peers.{name}", fromlist=["Peer"]).Peer()
    del sys.path[0], sys.argv[1:]
    if os.environ.pop("BENCHMARK_STAYS", ""):
        sys.addaudithook(_refuse_other_hosts)
    globals()[act](peer, url, folder, report, *map(float, numbers))


if __name__ == "__main__":
    main()
