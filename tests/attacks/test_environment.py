"""Variables with any value: the host is not disturbed, no variable overrides `off`, no unexpected path is created.

Relative XDG directories: tests/spool/files/test_paths.py. Invalid modes: tests/spool/consent/test_decision.py.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.spool.consent.decision import SWITCHES, decide
from deepchecks_telemetry.spool.files import paths
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.recording import record as recording

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="the paths are Linux's"), pytest.mark.timeout(30)]
PLACES = ["DEEPCHECKS_TELEMETRY_DIR", "HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"]
ANYTHING = {
    "empty": "",
    "a blank": " ",
    "not UTF-8": "\udcff\udcfe",  # the bytes 0xff and 0xfe, as os.fsdecode() returns them on Linux
    "a newline and an escape": "a\n\x1b[2Jb",
    "a million letters": "x" * 1_000_000,
    "a path of a million letters": "/x" * 500_000,
    "a file": "/dev/null/x",
    "kernel's": "/proc/self/nothing",
    "dots": "../../..",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory that is deep enough for all the `..` in the values."""
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield folder
    recording.close()


def status() -> dict[str, object]:
    done = CliRunner().invoke(cli.deepchecks, ["telemetry", "status", "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("value", ANYTHING.values(), ids=ANYTHING.keys())
@pytest.mark.parametrize("name", PLACES)
def test_a_directory_variable_with_any_value_does_not_break_the_host(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "DEEPCHECKS_TELEMETRY_DIR":
        monkeypatch.delenv("DEEPCHECKS_TELEMETRY_DIR")
    monkeypatch.setenv(name, value)
    assert recording.record("run-check") in (True, False)
    assert status()["mode"] in ("on", "off")


@pytest.mark.parametrize("value", list(ANYTHING.values())[1:], ids=list(ANYTHING)[1:])
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_with_any_value_but_blanks_is_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    off = not (name == "DO_NOT_TRACK" and value.isspace())
    assert (recording.record("run-check"), status()["mode"]) == (not off, "off" if off else "on")


@pytest.mark.parametrize("value", ANYTHING.values(), ids=ANYTHING.keys())
def test_an_endpoint_variable_with_any_value_sends_nothing_and_is_reported(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_ENDPOINT", value)
    assert recording.record("run-check")
    report = status()
    assert (report["endpoint"], report["sends"]) == (None, False)
    assert (report["problem"] is None) == (not value.strip())


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"])
@pytest.mark.usefixtures("registered")
def test_a_relative_xdg_path_creates_nothing_in_the_working_directory(
    name: str, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY_DIR")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "user")) if variable != name else monkeypatch.delenv(variable)
    monkeypatch.setenv(name, "here")
    found = find_home()
    folders = [folder for target in found.with_default for folder in target[:3]]
    assert all(map(os.path.isabs, folders))
    assert not any(str(elsewhere) in folder for folder in folders)


def test_a_tilde_is_the_users_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", "~/counts")
    assert find_home().state == os.path.join(os.environ["HOME"], "counts", "state")


def test_a_variable_cannot_override_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, other = tmp_path / "etc" / "xdg", tmp_path / "other"
    for folder, word in ((machine, "off"), (other, "on")):
        (folder / "deepchecks" / "telemetry").mkdir(parents=True)
        (folder / "deepchecks" / "telemetry" / "mode").write_text(word)
    monkeypatch.setattr(paths, "USUAL", (".local/state", ".config", str(machine)))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(other))
    assert decide(find_home()).mode == "off"
    assert recording.record("run-check") is False
    (machine / "deepchecks" / "telemetry" / "mode").unlink()
    (machine / "deepchecks" / "telemetry").rmdir()
    assert decide(find_home()).mode == "on"
