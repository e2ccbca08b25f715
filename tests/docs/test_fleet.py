"""Runs the commands of docs/fleet.md for the embedded receiver and its store; `tests/collector` has the Collector's."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
NEEDED_ELSEWHERE = ("pip ", "datasette ")  # datasette is not installed for the tests
TOKEN = "a-token-of-the-test"
PATIENCE_S = 30
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the page is for sh"),
    pytest.mark.timeout(300),
]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def block(beginning: str) -> str:
    (matching,) = (text for text in BLOCKS if beginning in text)
    return str(matching)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables with which `deepchecks` and `sqlite-utils` are those of this environment."""
    commands = {"deepchecks": ["-m", "deepchecks_telemetry.cli"], "sqlite-utils": ["-m", "sqlite_utils"]}
    (tmp_path / "bin").mkdir()
    for name, arguments in commands.items():
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *arguments])} "$@"\n')
        script.chmod(0o700)
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    return lambda script: subprocess.run(
        ["/bin/sh", "-eu", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def store(run: Run, home: Path) -> None:
    """`collector.db` with three events of one installation."""
    pytest.importorskip("uvicorn")
    program = (
        "from deepchecks_telemetry.spool import record; assert all(map(record, ['run-check'] * 2 + ['run-suite']))"
    )
    python = shlex.join([sys.executable, "-c", program])
    assert run(python).returncode == 0
    with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
        connection.execute("UPDATE environments SET deepchecks_version = '0.19.1'")  # deepchecks is not installed
    done = run("deepchecks telemetry export x.jsonl; deepchecks telemetry collector load x.jsonl")
    assert done.returncode == 0, done.stderr


def test_each_command_of_the_report_prints_it(store: None, run: Run, tmp_path: Path) -> None:
    lines = block("report --long").splitlines()
    assert len(lines) == 5
    outputs = [run(line) for line in lines]
    assert [(done.returncode, done.stderr) for done in outputs] == [(0, "")] * len(lines)
    assert "run-check" in outputs[0].stdout
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(outputs[4].stdout)["fields"]["event"]["run-suite"]["events"] == 1


def test_each_command_for_other_programs_reads_the_store(store: None, run: Run, tmp_path: Path) -> None:
    lines = [line for line in block("sqlite-utils views").splitlines() if not line.startswith(NEEDED_ELSEWHERE)]
    assert len(lines) == 5
    outputs = [run(line) for line in lines]
    assert [done.returncode for done in outputs] == [0] * len(lines), [done.stderr for done in outputs]
    assert "weekly_active" in outputs[0].stdout
    assert "retention" in outputs[0].stdout
    assert (tmp_path / "retention.csv").stat().st_size
    assert outputs[4].stdout


def post(url: str, **headers: str) -> int:
    request = urllib.request.Request(f"{url}/v1/logs", b"{}", {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_receiver_accepts_only_the_token_that_was_typed(environ: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed here")
    script = block("read -rs").replace("0.0.0.0", "127.0.0.1 --port 0").replace("deepchecks tel", "exec deepchecks tel")
    output = tmp_path / "output"
    with output.open("wb") as out, subprocess.Popen(
        [bash, "-euc", script], env={**environ, "PYTHONUNBUFFERED": "1"}, cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=out, stderr=out,
    ) as child:  # fmt: skip
        try:
            assert child.stdin is not None
            child.stdin.write(f"{TOKEN}\n".encode())
            child.stdin.close()
            deadline = time.monotonic() + PATIENCE_S
            while not (found := re.findall(r"Listening on (http://\S+)", output.read_text())):
                assert child.poll() is None, output.read_text()
                assert time.monotonic() < deadline
            assert (post(found[0]), post(found[0], Authorization=f"Bearer {TOKEN}")) == (401, 200)
        finally:
            child.terminate()
    logged = re.findall(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ POST /v1/logs (\d+) \d+ bytes \d+ ms$", output.read_text(), re.MULTILINE
    )
    assert logged == ["401", "200"]
    assert (tmp_path / "counts.db").exists()
