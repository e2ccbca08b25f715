"""The throughput and memory of the embedded collector and of rotel, in one run.

Each is measured with batches of one installation, also beside slow clients, and with batches of many installations.

    pip install ".[collector]" rotel; python benchmarks/collector.py [FILE]    # Linux; a minute; prints JSON

Rotel responds when it has a request in memory, ours when its rows are on the disk, each uid once, so the work differs.
"""

import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

CLIENTS, BATCHES, ROWS = 4, 30, 1_000
INSTALLATIONS = 250  # of a batch that another collector composed of small requests
SLOW, SLOW_BYTES = 200, 256 * 1024
RESOURCE = {
    "service.name": "deepchecks",
    "service.version": "0.19.1",
    "os.type": "linux",
    "os.name": "debian",
    "os.version": "12",
    "process.runtime.name": "cpython",
    "process.runtime.version": "3.11",
    "deepchecks.runtime": "script",
}
EVENTS = ("package-import", "run-check", "run-suite", "suite-to-html")
Server = Callable[[Path], Any]  # a context manager of the process id and the port


def main() -> None:
    """Measure both with each load."""
    bodies, many = _bodies(installations=1), _bodies(INSTALLATIONS)
    figures: dict[str, Any] = {"clients": CLIENTS, "rows_a_batch": ROWS, "rows": CLIENTS * BATCHES * ROWS}
    figures["slow_clients"] = {"number": SLOW, "bytes_of_a_body_each": SLOW_BYTES}
    figures["installations_of_a_batch"] = INSTALLATIONS
    for name, server in (("ours", _ours), ("rotel", _rotel)):
        figures[name] = {
            "alone": _measure(server, bodies, 0),
            "with_slow_clients": _measure(server, bodies, SLOW),
            "many_installations": _measure(server, many, 0),
        }
    text = json.dumps(figures, indent=2)
    print(text)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(text + "\n", "utf-8")


def _measure(server: Server, bodies: list[list[bytes]], slow: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (process, port), ExitStack() as stack:
        _post(port, bodies[0][:1])  # before the measurement: loads what the first request needs
        idle = _memory(process, "VmRSS")
        for _ in range(slow):
            stack.enter_context(_slow(port))
        threads = [threading.Thread(target=_post, args=(port, batches)) for batches in bodies]
        start, start_cpu_s = time.perf_counter(), _cpu_s(process)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time_s, cpu_s = time.perf_counter() - start, _cpu_s(process) - start_cpu_s
        return {
            "rows_a_second": round(CLIENTS * BATCHES * ROWS / time_s),
            "rows_a_cpu_second": round(CLIENTS * BATCHES * ROWS / cpu_s),
            "idle_mib": idle,
            "peak_mib": _memory(process, "VmHWM"),
        }


def _post(port: int, bodies: list[bytes]) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        for body in bodies:
            client.request("POST", "/v1/logs", body, headers)
            response = client.getresponse()
            content = json.loads(response.read())
            if response.status != 200 or content.get("partialSuccess"):
                raise SystemExit(f"Error: {response.status} {content}. The benchmark counts nothing but success.")


def _slow(port: int) -> socket.socket:
    """A client that has sent a part of a body, which the server may read or not."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.settimeout(0)
    head = "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n"
    with suppress(BlockingIOError):
        client.send(head.encode() + b" " * SLOW_BYTES)
    return client


@contextmanager
def _ours(folder: Path) -> Iterator[tuple[int, int]]:
    command, pipe = [sys.executable, "-m", "deepchecks_telemetry.collector", str(folder / "store.db")], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        yield child.pid, int(child.stdout.readline().strip().rpartition(":")[2])
        child.terminate()


@contextmanager
def _rotel(folder: Path) -> Iterator[tuple[int, int]]:
    import rotel.agent

    ports = _free_ports(2)
    endpoints = ("--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}")
    more = ("--exporter", "blackhole", "--pid-file", str(folder / "pid"), "--log-file", str(folder / "log"))
    command = [str(Path(rotel.agent.__file__).with_name("rotel-agent")), "start", *endpoints, *more]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None and not _listens(ports[0]):
            time.sleep(0.01)
        yield child.pid, ports[0]
        child.terminate()


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _memory(process: int, name: str) -> float:
    match = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return round(int(match[1]) / 1024, 1) if match else 0.0


def _cpu_s(process: int) -> float:
    """The CPU time that a process has used, which other load on the machine changes less than its duration."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def _bodies(installations: int) -> list[list[bytes]]:
    return [[gzip.compress(_body(installations)) for _ in range(BATCHES)] for _ in range(CLIENTS)]


def _body(installations: int) -> bytes:
    groups = [_group(ROWS // installations) for _ in range(installations)]
    return json.dumps({"resourceLogs": groups}, separators=(",", ":")).encode()


def _group(rows: int) -> dict[str, Any]:
    day_ns = str(int(time.time()) // 86_400 * 86_400 * 10**9)
    records = [
        {
            "attributes": [
                {"key": "log.record.uid", "value": {"stringValue": _uuid()}},
                {"key": "deepchecks.event.count", "value": {"intValue": "7"}},
            ],
            "eventName": f"deepchecks.{EVENTS[number % len(EVENTS)]}",
            "timeUnixNano": day_ns,
        }
        for number in range(rows)
    ]
    values = {**RESOURCE, "app.installation.id": _uuid()}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
    return {"scopeLogs": [{"logRecords": records}], "resource": {"attributes": attributes}}


def _uuid() -> str:
    return str(uuid.UUID(bytes=os.urandom(16)))


if __name__ == "__main__":
    main()
