"""Runs the commands of docs/for-auditors.md in their order, as a user with a new home directory."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "for-auditors.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- walk(?:: )?(\w*) -->\n```sh\n(.*?)```", re.DOTALL)
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
    write_sbom(folder / "sbom.json")
    usable = {
        "": True,
        "sbom": True,
        "strace": shutil.which("strace"),
        "ss": shutil.which("ss") and find_spec("uvicorn"),
    }
    blocks = [text for needed, text in BLOCK.findall(PAGE) if usable[needed]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    script = f"\necho '{MARK}'\n".join(blocks).replace("4318", port)
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script], env=environ, cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip((block.split("\n")[0] for block in blocks), done.stdout.split(f"{MARK}\n"), strict=True))


def write_sbom(path: Path) -> None:
    """What the page reads of a CycloneDX document: the packages of this environment, and one in another version."""
    components = [{"name": found.name, "version": found.version} for found in distributions()]
    own = {"name": "deepchecks-telemetry", "version": version("deepchecks-telemetry")}
    changed = {"name": "click", "version": "0.1"}
    path.write_text(json.dumps({"metadata": {"component": own}, "components": [*components, changed]}))


def output_of(outputs: dict[str, str], first: str, tool: str) -> str:
    output = next((text for command, text in outputs.items() if command.startswith(first)), None)
    if output is None:
        (pytest.fail if os.environ.get("GATE") else pytest.skip)(f"{tool} is not installed here; .ci/run installs it")
    return output


def test_every_block_of_the_page_is_run() -> None:
    assert PAGE.count("```sh") == len(BLOCK.findall(PAGE)) == 9


def test_the_files_of_a_new_user_are_private_and_few(outputs: dict[str, str]) -> None:
    recorded, *lines = next(iter(outputs.values())).splitlines()
    assert recorded == "True"
    files = {line.split()[-1]: line.split()[0] for line in lines if line.startswith("-")}
    state = ".local/state/deepchecks/telemetry"
    assert set(files) == {f"{state}/spool.db", f"{state}/spool.lock"}
    assert set(files.values()) == {"-rw-------"}
    assert [line.split()[0] for line in lines if line.endswith(state)] == ["drwx------"]


def test_the_program_opens_no_socket_and_flush_connects_to_the_endpoint_only(outputs: dict[str, str]) -> None:
    recorded, flushed, *connections = output_of(outputs, "strace", "strace").splitlines()
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


def test_the_receiver_listens_on_loopback_while_it_runs(outputs: dict[str, str]) -> None:
    lines = [line for line in output_of(outputs, "timeout", "ss").splitlines() if not line.startswith("Listening on ")]
    assert [line.split()[3].rpartition(":")[0] for line in lines[:-1] if line.startswith("LISTEN")] == ["127.0.0.1"]
    assert lines[-1] == "no port"


def test_the_packages_are_compared_with_the_sbom(outputs: dict[str, str]) -> None:
    *different, compared = outputs["python - sbom.json << 'END'"].splitlines()
    assert different == ["differs: click 0.1"]
    assert re.fullmatch(r"[1-9]\d+ packages compared", compared)


def test_the_installed_files_are_compared(outputs: dict[str, str]) -> None:
    text = next(text for command, text in outputs.items() if command == "python - << 'END'")
    compared, dependencies = text.splitlines()
    assert re.fullmatch(r"[1-9]\d* files compared", compared)
    assert dependencies == "No broken requirements found."
