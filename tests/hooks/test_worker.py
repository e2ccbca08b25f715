"""One import of deepchecks is counted per program; the imports in its worker processes are not."""

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]

SCRIPTS = Path(__file__).with_name("scripts")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="forks are detected through /proc of Linux")


@LINUX
@pytest.mark.parametrize(
    ("how", "imports", "runs"),
    [
        ("program", 1, 1),
        ("workers", 0, 3),
        ("workers of a program that imports it", 1, 4),
        ("daemon", 1, 1),
        ("a program started by a program", 1, 1),
    ],
)
def test_an_import_counts_in_a_program_and_not_in_its_forked_workers(
    run: Run, recorded: Callable[[], Counts], library: str, how: str, imports: int, runs: int
) -> None:
    run(str(SCRIPTS / "forks.py"), how, PYTHONPATH=library)
    assert recorded() == ({"package-import": imports} if imports else {}) | {"run-check": runs}


@contextmanager
def gunicorn(*options: str, environ: dict[str, str], folder: Path) -> Iterator[tuple[Callable[[], str], int]]:
    """A running gunicorn: a function that sends a request, and a pipe that receives a byte at each start of the app."""
    started, report = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound = listener.fileno()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--bind",
            f"fd://{bound}",
            *options,
            "gunicorn_app:app",
        ]
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environ | {"STARTED": str(report)},
            pass_fds=[report, bound],
            stderr=subprocess.DEVNULL,
        )
        port = listener.getsockname()[1]
    os.close(report)

    def get() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/", headers={"Connection": "close"})
        return connection.getresponse().read().decode()

    try:
        yield get, started
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        os.close(started)


@pytest.mark.real
@pytest.mark.skipif(not importlib.util.find_spec("gunicorn"), reason="gunicorn is not installed")
@LINUX
@pytest.mark.parametrize(
    ("options", "counted"),
    [
        (("--workers", "1", "--max-requests", "1"), {"run-check": 3}),
        (("--workers", "1", "--max-requests", "1", "--preload"), {"package-import": 1, "run-check": 3}),
    ],
)
def test_workers_of_gunicorn_and_their_restarts_do_not_count(
    recorded: Callable[[], Counts],
    environ: dict[str, str],
    library: str,
    tmp_path: Path,
    options: tuple[str, ...],
    counted: Counts,
) -> None:
    variables = environ | {"PYTHONPATH": os.pathsep.join([library, str(SCRIPTS)])}
    with gunicorn(*options, environ=variables, folder=tmp_path) as (get, started):
        for number in range(3):
            if number == 0 or "--preload" not in options:  # by each worker, or once by the master
                assert os.read(started, 1) == b"."
            assert get() == "a result"
    assert recorded() == counted


@pytest.mark.real
@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="dask.distributed is not installed")
def test_workers_of_dask_do_not_count(run: Run, recorded: Callable[[], Counts], library: str) -> None:
    run("-W", "ignore", str(SCRIPTS / "dask_cluster.py"), PYTHONPATH=library)
    assert recorded() == {"run-check": 2}
