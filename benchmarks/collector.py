"""The throughput and memory of the embedded collector and of rotel, in one run, also with slow clients.

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
SLOW, SLOW_BYTES = 200, 256 * 1024
RESOURCE = {
    "service.name": "deepchecks",
    "service.version": "0.19.1",
    "app.installation.id": "0b6ee9b4-1f59-4a0e-9f0e-3f0c5a1c7c11",
    "os.type": "linux",
    "os.name": "debian",
    "os.version": "12",
    "process.runtime.name": "cpython",
    "process.runtime.version": "3.11",
    "deepchecks.runtime": "script",
}
Server = Callable[[Path], Any]  # a context manager of the process id and the port


def main() -> None:
    """Measure both, with and without slow clients."""
    bodies = [[gzip.compress(_body()) for _ in range(BATCHES)] for _ in range(CLIENTS)]
    figures: dict[str, Any] = {"clients": CLIENTS, "rows_a_batch": ROWS, "rows": CLIENTS * BATCHES * ROWS}
    figures["slow_clients"] = {"number": SLOW, "bytes_of_a_body_each": SLOW_BYTES}
    for name, server in (("ours", _ours), ("rotel", _rotel)):
        figures[name] = {"alone": _measure(server, bodies, 0), "with_slow_clients": _measure(server, bodies, SLOW)}
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
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time_s = time.perf_counter() - start
        return {
            "rows_a_second": round(CLIENTS * BATCHES * ROWS / time_s),
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


def _body() -> bytes:
    day_ns = str(int(time.time()) // 86_400 * 86_400 * 10**9)
    records = [
        {
            "attributes": [
                {"key": "log.record.uid", "value": {"stringValue": str(uuid.UUID(bytes=os.urandom(16)))}},
                {"key": "deepchecks.event.count", "value": {"intValue": "7"}},
            ],
            "eventName": "deepchecks.run-check",
            "timeUnixNano": day_ns,
        }
        for _ in range(ROWS)
    ]
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in RESOURCE.items()]
    group = {"scopeLogs": [{"logRecords": records}], "resource": {"attributes": attributes}}
    return json.dumps({"resourceLogs": [group]}, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
