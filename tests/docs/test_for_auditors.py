"""Runs the commands of docs/for-auditors.md in their order, as a user with a new home directory."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "for-auditors.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- (walk(?:: strace)?) -->\n```sh\n(.*?)```", re.DOTALL)
MARK = "=== next"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the page's commands are those of Linux")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of each block, by its first command; a block that fails ends the run."""
    folder = tmp_path_factory.mktemp("auditor")
    for name, module in (("deepchecks", " -m deepchecks_telemetry.cli"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (folder / name).chmod(0o700)
    machine = Path(__file__).parents[1] / "machine"  # no entry of this user in the user database
    environ = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(machine), "TMPDIR": str(folder)}
    environ["HOME"] = str(folder / "user")
    (folder / "user").mkdir(mode=0o700)
    blocks = [text for kind, text in BLOCK.findall(PAGE) if kind == "walk" or shutil.which("strace")]
    script = f"\necho '{MARK}'\n".join(blocks)
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script], env=environ, cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip((block.split("\n")[0] for block in blocks), done.stdout.split(f"{MARK}\n"), strict=True))


def test_every_block_of_the_page_is_run() -> None:
    assert PAGE.count("```sh") == len(BLOCK.findall(PAGE)) == 7


def test_the_files_of_a_new_user_are_private_and_few(outputs: dict[str, str]) -> None:
    recorded, *lines = next(iter(outputs.values())).splitlines()
    assert recorded == "True"
    files = {line.split()[-1]: line.split()[0] for line in lines if line.startswith("-")}
    state = ".local/state/deepchecks/telemetry"
    assert set(files) == {f"{state}/spool.db", f"{state}/spool.lock"}
    assert set(files.values()) == {"-rw-------"}
    assert [line.split()[0] for line in lines if line.endswith(state)] == ["drwx------"]


def test_the_program_opens_no_socket_and_flush_connects_to_the_endpoint_only(outputs: dict[str, str]) -> None:
    output = next((text for command, text in outputs.items() if command.startswith("strace")), None)
    if output is None:
        (pytest.fail if os.environ.get("GATE") else pytest.skip)("strace is not installed here; .ci/run installs it")
    recorded, flushed, *connections = output.splitlines()
    assert (recorded, "not delivered: connection refused" in flushed) == ("no connection", True)
    assert connections
    assert [line for line in connections if 'sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")' not in line] == []


def test_the_evidence_is_that_of_the_files_that_are_left(outputs: dict[str, str]) -> None:
    text = next(text for command, text in outputs.items() if "--report" in command)
    start, end = text.index("\n{"), text.index("\n}\n") + 3
    facts = json.loads(text[start:end])["users"][0]["facts"]
    lines = [line.split() for line in text[end:].splitlines() if "/.local/" in line or "/.config/" in line]
    left = {path: digest for digest, path in lines}
    assert {file["path"]: file["sha256"] for file in facts["files_after"]} == left
    assert text.splitlines()[-2:] == ["nothing is left", "off"]


def test_the_installed_files_are_compared(outputs: dict[str, str]) -> None:
    text = next(text for command, text in outputs.items() if command.startswith("python - "))
    compared, dependencies = text.splitlines()
    assert re.fullmatch(r"[1-9]\d* files compared", compared)
    assert dependencies == "No broken requirements found."
