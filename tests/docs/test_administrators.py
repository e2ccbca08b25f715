"""Runs every command of docs/administrators.md, with the directories of the policy and the user below the test's."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "administrators.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
SHELL = [script for _, kind, script in BLOCKS if kind == "sh"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the page's commands are those of Linux")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a block of the page as root, with a directory of the test as /etc/xdg."""
    commands = tmp_path / "bin"
    commands.mkdir()
    python = f'exec "{sys.executable}"'
    for name, script in (
        ("deepchecks", f'{python} -m deepchecks_telemetry.cli "$@"'),
        ("python", f'{python} "$@"'),
        ("sudo", 'exec "$@"'),
    ):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o700)
    environ = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    environ |= {"XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    environ.pop("DEEPCHECKS_TELEMETRY", None)

    def execute(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        script = script.replace("/etc/xdg", str(tmp_path / "xdg"))
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", script], env=environ | variables, capture_output=True, text=True, timeout=60
        )

    return execute


@pytest.fixture
def status(run: Run) -> Callable[..., dict[str, Any]]:
    return lambda **variables: dict(json.loads(run("deepchecks telemetry status --json", **variables).stdout))


def block(beginning: str) -> str:
    (matching,) = (str(script) for script in SHELL if beginning in script)
    return matching


def test_every_block_of_the_page_is_found() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2 == 12


def test_the_policy_works_as_described(run: Run, status: Callable[..., dict[str, Any]]) -> None:
    done = run(block("echo off"))
    assert done.returncode == 0, done.stderr
    assert "Telemetry is off: decided by the administrator's policy." in done.stdout
    assert run("deepchecks telemetry enable").returncode == 1  # because the policy overrides it
    assert status()["mode"] == "off"
    assert "Telemetry is local: decided by the administrator's policy." in run(block("echo local")).stdout
    sent = json.loads(run(block("echo on")).stdout.partition("org\n")[2])
    assert (sent["mode"], sent["sends"], sent["endpoint_from"]) == ("on", True, "the administrator's policy")
    assert status(DO_NOT_TRACK="1")["mode"] == "off"
    assert run("deepchecks telemetry local").returncode == 0
    assert status()["decided_by"] == "your choice"
    assert run("deepchecks telemetry enable").returncode == 0
    done = run(block("sudo rm"))
    assert done.returncode == 0, done.stderr
    assert "Telemetry is on: decided by your choice.\nNothing is sent" in done.stdout


@pytest.mark.parametrize("word", ["On purpose", "", "0ff"])
def test_an_invalid_policy_means_off(
    word: str, run: Run, status: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "xdg" / "deepchecks" / "telemetry"
    folder.mkdir(parents=True)
    (folder / "mode").write_text(word)
    assert status()["mode"] == "off"


def test_the_variables_of_an_image_take_effect(status: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    images = {name: dict(re.findall(r"ENV (\w+)=(.*)", text)) for name, kind, text in BLOCKS if kind == "dockerfile"}
    assert status(**images["off"])["mode"] == "off"
    kept = images["kept"] | {"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "volume")}
    effective = status(**kept)
    assert (effective["endpoint"], effective["sends"]) == ("https://collector.example.org/v1/logs", True)
    assert effective["spool"].startswith(str(tmp_path / "volume"))


@pytest.mark.parametrize("name", ["mode", "sends"])
def test_a_check_of_the_machine_fails_when_it_should(name: str, run: Run) -> None:
    check = block(f'["{name}"]')
    sending = {"DEEPCHECKS_TELEMETRY": "on", "DEEPCHECKS_TELEMETRY_ENDPOINT": "https://collector.example.org"}
    assert run(check, DEEPCHECKS_TELEMETRY="off").returncode == 0
    assert run(check, **sending).returncode == 1


def test_a_job_can_flush_and_one_command_turns_telemetry_off_and_proves_it(
    run: Run, status: Callable[..., dict[str, Any]]
) -> None:
    recorded = run("python -c \"from deepchecks_telemetry.spool import record; assert record('run-check')\"")
    assert recorded.returncode == 0
    assert run(block("flush")).returncode == 0
    done = run(block("telemetry disable\n"))
    assert done.returncode == 0
    assert "Removed: 1 event, 1 row, 0 batches, 1 identifier and 0 files." in done.stdout
    assert done.stdout.endswith("telemetry files: no recorded data is left.\n")
    assert (status()["mode"], status()["recorded"]) == ("off", 0)
    done = run(block("purge"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Kept: the choice off in ")
    assert status()["mode"] == "off"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users")
def test_one_command_turns_off_and_wipes_for_named_users(run: Run, tmp_path: Path) -> None:
    """The homes of the page are replaced by those of the test; without names it would use those of this machine."""
    above = Path(tempfile.mkdtemp(prefix="homes-"))
    above.chmod(0o755)
    try:
        homes = {"/home/jane": above / "jane", "/srv/home/john": above / "john"}
        script = next(line for line in block("--all-users").splitlines() if "/home/jane" in line)
        for number, (name, home) in enumerate(homes.items()):
            home.mkdir(mode=0o700)
            os.chown(home, 61_001 + number, 61_001 + number)
            script = script.replace(name, str(home))
        done = run(script)
        assert done.returncode == 0, done.stderr
        assert [(home / ".config/deepchecks/telemetry/mode").read_text() for home in homes.values()] == ["off\n"] * 2
    finally:
        shutil.rmtree(above)


def test_the_volume_of_an_image_belongs_to_the_user_that_records(run: Run, tmp_path: Path) -> None:
    """The lines of the image are executed one by one as root, and then an event is recorded as its user."""
    (image,) = [text for name, kind, text in BLOCKS if name == "kept"]
    if os.geteuid() != 0:
        pytest.skip("only root can build it")
    lines = [line.partition(" ") for line in image.splitlines()]
    assert [word for word, _, _ in lines] == ["RUN", "ENV", "ENV", "VOLUME", "USER"]
    above = Path(tempfile.mkdtemp(prefix="image-"))
    above.chmod(0o755)
    try:
        create = lines[0][2].replace("/var/lib", str(above))
        assert run(create).returncode == 0
        variables = dict(re.findall(r"ENV (\w+)=(.*)", image))
        folder = variables["DEEPCHECKS_TELEMETRY_DIR"].replace("/var/lib", str(above))
        user = int(lines[-1][2])
        code = f"import os; import filelock; from deepchecks_telemetry.spool import record; os.setegid({user}); "
        code += f"os.seteuid({user}); assert record('run-check'); os._exit(0)"
        done = run(f'python -c "{code}"', DEEPCHECKS_TELEMETRY_DIR=folder, XDG_CONFIG_DIRS="/nowhere")
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(above)
