"""Each file of deploy/ is printed in docs/deployment.md, and is run here or checked by its own checker.

Those checkers that come from PyPI are installed by `nox -s deploy`, which sets DEPLOY.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
PAGE = (CHECKOUT / "docs" / "deployment.md").read_text("utf-8")
FILES = sorted(path.name for path in DEPLOY.iterdir())
UNITS = [name for name in FILES if name.startswith("deepchecks-")]
INSTALLED = "/opt/deepchecks/bin/"
RECORD = "from deepchecks_telemetry.spool import record; assert record('run-check')"
PATIENCE_S = 30
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the files are for Linux")
from_pypi = pytest.mark.skipif("DEPLOY" not in os.environ, reason="needs tools from PyPI: run by `nox -s deploy`")

Done = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def commands(tmp_path: Path) -> Path:
    """A directory with the command `deepchecks`, as /opt/deepchecks/bin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("deepchecks", " -m deepchecks_telemetry.cli"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def run(commands: Path) -> Callable[..., Done]:
    def execute(command: "str | list[str]", **variables: str) -> Done:
        path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
        environ = {**os.environ, "PATH": path, **variables}
        return subprocess.run(
            command, shell=isinstance(command, str), env=environ, capture_output=True, text=True, timeout=100
        )

    return execute


def read(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def unit_command(name: str) -> str:
    (command,) = re.findall(r"^ExecStart=(.+)$", read(name), re.MULTILINE)
    return str(command)


def image_command(instruction: str) -> list[str]:
    (command,) = re.findall(rf"^{instruction} (\[.+\])$", read("Dockerfile"), re.MULTILINE)
    return list(json.loads(command))


@pytest.mark.parametrize("name", FILES)
def test_the_page_prints_each_file_and_says_how_it_was_tested(name: str) -> None:
    assert f"\n{read(name)}```\n" in PAGE
    assert f"`deploy/{name}`" in PAGE.partition("## What was tested")[2]


def verify(text: str, name: str, folder: Path, systemd: str) -> Done:
    """Check a unit as the manager of the system or of a user would load it; what is wrong is printed."""
    for unit in {*UNITS, name}:
        content = text if unit == name else read(unit)
        (folder / unit).write_text(content.replace(INSTALLED, f"{folder / 'bin'}/"))
    manager = "--system" if "collector" in name else "--user"
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    command = [systemd, manager, "verify", f"./{name}"]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_each_unit_without_a_warning(name: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    done = verify(read(name), name, tmp_path, tool("systemd-analyze"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_setting_that_systemd_does_not_have_is_found(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """The exit code of `verify` is 0 then, so the test above requires that nothing is printed."""
    wrong = read("deepchecks-collector.service").replace("ProtectHome=", "ProtectHouse=")
    assert "ProtectHouse" in verify(wrong, "deepchecks-collector.service", tmp_path, tool("systemd-analyze")).stderr


def test_the_service_is_restricted(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """At most 1.5 of 10 by systemd's own measure; without the restrictions it is 9.6."""
    command = [tool("systemd-analyze"), "security", "--offline=true", "--threshold=15"]
    (tmp_path / "etc").mkdir()
    (tmp_path / "deepchecks-collector.service").write_text(
        read("deepchecks-collector.service").replace(INSTALLED, f"{tmp_path / 'bin'}/")
    )
    command.append(str(tmp_path / "deepchecks-collector.service"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def receiving(command: list[str], folder: Path) -> Iterator[str]:
    """Run the command of a receiver on a free port of loopback; yields its URL."""
    output = folder / "receiver.out"
    with output.open("wb") as out:
        options = ["--host", "127.0.0.1", "--port", "0"]  # of an option that is repeated the last counts
        child = subprocess.Popen(
            [*command, *options], stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.findall(r"Listening on (http://[^\s/]+)", output.read_text())):
            assert child.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            threading.Event().wait(0.02)
        yield str(found[0])
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


def test_the_commands_for_systemd_and_cron_send_to_the_receiver_of_the_service(
    tmp_path: Path, run: Callable[..., Done]
) -> None:
    pytest.importorskip("uvicorn")
    store = tmp_path / "deepchecks-collector" / "collector.db"
    store.parent.mkdir()
    command = unit_command("deepchecks-collector.service").replace("%S", str(tmp_path))
    (line,) = (text for text in read("crontab").splitlines() if not text.startswith("#"))
    schedule, cron = re.fullmatch(r"((?:[\d*,/-]+ +){5})(.+)", line).groups()  # type: ignore[union-attr]
    assert len(schedule.split()) == 5
    assert "%" not in cron  # cron makes a line end of it
    needed = ("PYTHONPATH", "DEEPCHECKS_TELEMETRY_DIR", "DEEPCHECKS_TELEMETRY")  # which isolate the test
    as_cron = {name: os.environ[name] for name in needed} | {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"}
    installed = f"{tmp_path / 'bin'}/"
    with receiving(shlex.split(command.replace(INSTALLED, installed)), tmp_path) as url:
        assert run(f"deepchecks telemetry enable --endpoint {url}").returncode == 0
        for send in (unit_command("deepchecks-flush.service"), cron):
            assert run(["python", "-c", RECORD]).returncode == 0
            script = ["/bin/sh", "-c", send.replace(INSTALLED, installed)]
            done = subprocess.run(script, env=as_cron, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")  # cron would mail it
    assert run(["python", "-c", RECORD]).returncode == 0
    done = subprocess.run(script, env=as_cron, capture_output=True, text=True, timeout=60)
    assert "not delivered: connection refused" in done.stdout  # because the receiver has ended
    report = run(f"deepchecks telemetry collector report --json --min-cell 1 --store {store}")
    cells = json.loads(report.stdout)["fields"]["event"]
    assert {name: cell["events"] for name, cell in cells.items()} == {"run-check": 2}


def test_the_command_of_the_image_receives_and_its_health_check_passes(
    tmp_path: Path, run: Callable[..., Done]
) -> None:
    pytest.importorskip("uvicorn")
    command, check = image_command("CMD"), image_command("HEALTHCHECK CMD")
    command = [part.replace("/var/lib/deepchecks-collector", str(tmp_path)) for part in command]
    command[0] = str(tmp_path / "bin" / command[0])
    with receiving(command, tmp_path) as url:
        check = [part.replace("http://127.0.0.1:4318", url) for part in check]
        assert run(check).returncode == 0
        assert run(["python", "-c", RECORD]).returncode == 0
        assert run("deepchecks telemetry flush", DEEPCHECKS_TELEMETRY_ENDPOINT=url).returncode == 0
    assert run(check).returncode == 1


def test_the_prolog_sets_a_mode_that_uploads_nothing(run: Callable[..., Done]) -> None:
    lines = run([str(DEPLOY / "slurm-task-prolog.sh")]).stdout.splitlines()
    variables = dict(re.findall(r"export (\w+)=(.*)", "\n".join(lines)))
    assert len(lines) == len(variables) == 1
    status = json.loads(run("deepchecks telemetry status --json", **variables).stdout)
    assert (status["mode"], status["sends"]) == ("local", False)


def documents(name: str) -> list[Any]:
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all(read(name)))


@from_pypi
def test_the_checkers_accept_the_files_for_containers(run: Callable[..., Done]) -> None:
    for command in (
        f"hadolint {DEPLOY / 'Dockerfile'}",
        f"check-jsonschema --builtin-schema vendor.compose-spec {DEPLOY / 'compose.yaml'}",
        f"kubernetes-validate --strict {DEPLOY / 'kubernetes.yaml'}",
    ):
        done = run(command)
        assert done.returncode == 0, done.stdout + done.stderr


@from_pypi
def test_the_variables_for_compose_make_the_program_send(run: Callable[..., Done], tmp_path: Path) -> None:
    (compose,) = documents("compose.yaml")
    job = compose["services"]["job"]
    folder = job["environment"]["DEEPCHECKS_TELEMETRY_DIR"]
    assert job["volumes"] == [f"spool:{folder}"]
    variables = {**job["environment"], "DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "volume")}
    status = json.loads(run("deepchecks telemetry status --json", **variables).stdout)
    assert (status["sends"], status["endpoint"]) == (True, "http://collector:4318/v1/logs")


@from_pypi
def test_the_job_of_kubernetes_records_in_a_volume_that_is_opened_to_a_group(
    run: Callable[..., Done], tmp_path: Path
) -> None:
    """Before each start, what kubelet does to a volume with fsGroup: all of it to the group, g+rw, directories g+xs."""
    claim, job = documents("kubernetes.yaml")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    mount = container["volumeMounts"][0]["mountPath"]
    volume = tmp_path / "volume"
    volume.mkdir()
    environ = {name: value.replace(mount, str(volume)) for name, value in environ.items()}
    assert environ["DEEPCHECKS_TELEMETRY_DIR"].startswith(str(volume))
    environ["DEEPCHECKS_TELEMETRY_ENDPOINT"] = "http://127.0.0.1:9"  # nothing answers: the job does not fail by it
    (script,) = container["args"]
    script = script.replace("python job.py", shlex.join(["python", "-c", RECORD]))
    for start in (1, 2, 3):
        for path in [volume, *volume.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))
        done = run([*container["command"], script], **environ)
        assert done.returncode == 0, done.stderr
        status = json.loads(run("deepchecks telemetry status --json", **environ).stdout)
        assert status["recorded"] == start
    failed = run([*container["command"], script.replace("run-check", "no-such-event")], **environ)
    assert failed.returncode == 1


@from_pypi
def test_ansible_writes_the_policy_and_a_second_run_changes_nothing(run: Callable[..., Done], tmp_path: Path) -> None:
    policy = tmp_path / "user" / "deepchecks" / "telemetry"  # below XDG_CONFIG_DIRS of the test
    play = tmp_path / "play.json"
    tasks = [{"ansible.builtin.include_tasks": str(DEPLOY / "ansible.yaml")}]
    play.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    endpoint = "https://collector.example.org"
    for values, mode, url, changed in (
        ({}, "off", None, 2),
        ({}, "off", None, 0),
        ({"deepchecks_telemetry_mode": "on", "deepchecks_telemetry_endpoint": endpoint}, "on", endpoint, 2),
        ({"deepchecks_telemetry_mode": "local"}, "local", None, 2),
    ):
        extra = json.dumps({**values, "deepchecks_telemetry_policy": str(policy)})
        variables = {"LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_NOCOLOR": "1"}
        variables |= {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_LOCALHOST_WARNING": "0"}
        done = run(["ansible-playbook", "-i", "localhost,", "-e", extra, str(play)], **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"changed={changed} " in done.stdout, done.stdout
        status = json.loads(run("deepchecks telemetry status --json").stdout)
        assert (status["mode"], status["endpoint"]) == (mode, url and f"{url}/v1/logs")
        assert [path.stat().st_mode & 0o777 for path in (policy, policy / "mode")] == [0o755, 0o644]
