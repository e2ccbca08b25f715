"""`off` in the user's default directories applies whatever the variables, and `disable` writes it there too."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.spool.stored import Stored, stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent import decision as consent
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase_all

Run = Callable[..., str]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows only our own variable moves directories")

# As set by Flatpak's editors, a systemd unit, sudo, a container and a scratch disk.
MOVED = [
    {"DEEPCHECKS_TELEMETRY_DIR": "moved"},
    {"XDG_CONFIG_HOME": "moved/config", "XDG_STATE_HOME": "moved/state"},
    {"XDG_CONFIG_HOME": "moved/config"},
    {"HOME": "moved"},
]
RECORD = "from deepchecks_telemetry.spool import record; print(record('run-check'))"
HOST = """
import sys
from deepchecks_telemetry.spool import record
for line in sys.stdin:
    print(record("run-check"), flush=True)
"""


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch, registered: Path) -> None:
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "DEEPCHECKS_TELEMETRY", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(registered))
    monkeypatch.setattr(consent, "is_test_run", lambda *_: False)


@pytest.fixture(params=MOVED, ids="+".join)
def moved(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Variables that give a program other directories."""
    return {name: str(tmp_path / value) for name, value in request.param.items()}


def test_no_variable_overrides_off(moved: dict[str, str], run: Run) -> None:
    assert run(RECORD, **moved) == "True\n"
    choose(find_home(), "off")
    home = find_home(os.environ | moved)
    decision = decide(home, {})
    assert (decision.mode, decision.decided_by) == ("off", "your choice in the default directory")
    assert run(RECORD, **moved) == "False\n"


@pytest.mark.parametrize(("word", "mode"), [("local", "local"), ("on", "on"), ("", "off"), ("o", "off")])
def test_a_default_choice_counts_unless_it_is_on(moved: dict[str, str], word: str, mode: str) -> None:
    home = find_home()
    os.makedirs(home.config, mode=0o700)
    Path(home.mode).write_text(word)
    assert decide(find_home(os.environ | moved), {}).mode == mode


def test_on_in_the_default_directory_does_not_apply_to_another_one(
    moved: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(find_home(), "on")
    monkeypatch.setattr(consent, "is_test_run", lambda *_: True)
    decision = decide(find_home(os.environ | moved), {})
    assert (decision.mode, decision.decided_by) == ("off", "a test run")


def test_an_unreadable_default_choice_is_off_with_the_reason(moved: dict[str, str]) -> None:
    home = find_home()
    os.makedirs(home.mode, mode=0o700)
    decision = decide(find_home(os.environ | moved), {})
    assert (decision.mode, decision.reason) == ("off", f"{home.mode} cannot be read: Is a directory")


def test_a_running_program_with_other_directories_stops_after_disable(moved: dict[str, str]) -> None:
    environ = {**os.environ, **moved}
    command = [sys.executable, "-c", HOST]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:

        def ask() -> str:
            assert host.stdin is not None
            assert host.stdout is not None
            host.stdin.write("\n")
            host.stdin.flush()
            return host.stdout.readline()

        assert ask() == "True\n"
        erase_all(find_home())
        assert ask() == "False\n"
        host.communicate()


def test_disable_writes_and_wipes_both_homes_if_a_variable_is_set(moved: dict[str, str], run: Run) -> None:
    assert run(RECORD) == run(RECORD, **moved) == "True\n"
    home = find_home(os.environ | moved)
    erased = erase_all(home)
    assert [result.home.mode for result in erased] == [home.mode, find_home().mode]
    # If only the configuration is moved, the spool is the same.
    assert sum(result.before.recorded for result in erased) == 2
    assert find_residue(home, [marker for result in erased for marker in result.markers])[1] == []
    assert read_accounts(home) == read_accounts(find_home()) == Accounts()
    assert stored(home) == stored(find_home()) == Stored(closed=True)
    for variables in ({}, moved, {"DEEPCHECKS_TELEMETRY_DIR": "/nowhere"}):
        assert run(RECORD, **variables) == "False\n"


def test_the_default_home_has_no_default(registered: Path) -> None:
    home = find_home()
    assert home.default is None
    assert home.with_default == (home,)
    assert home.watched == (home.mode, home.policy_mode)
    assert home.config == str(registered / ".config" / "deepchecks" / "telemetry")


def test_every_file_of_the_decision_is_watched(moved: dict[str, str]) -> None:
    home = find_home(os.environ | moved)
    assert home.default == find_home()
    assert home.watched == (home.mode, find_home().mode, home.policy_mode)


def test_a_link_to_the_home_is_the_same_home(tmp_path: Path, registered: Path) -> None:
    (tmp_path / "link").symlink_to(registered)
    assert len(erase_all(find_home({"HOME": str(tmp_path / "link")}))) == 1


def test_a_user_without_an_entry_has_no_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    found = find_home({"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path)})
    assert found == Home(str(tmp_path / "state"), str(tmp_path / "config"), found.policy)


def test_the_default_home_is_wiped_even_if_the_other_belongs_to_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    assert record("run-check")
    (tmp_path / "moved" / "state").mkdir(parents=True, mode=0o700)
    os.chown(tmp_path / "moved" / "state", 12_345, 12_345)
    with pytest.raises(Exception, match="belongs to another user"):
        erase_all(find_home({"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "moved")}))
    assert (read_accounts(find_home()), stored(find_home())) == (Accounts(), Stored(closed=True))
    assert decide(find_home(), {}).mode == "off"


def test_a_policy_directory_closed_to_the_user_means_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As created with a umask of 077; the next directory is only used if the first does not exist."""
    from deepchecks_telemetry.spool.files import paths

    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    tmp_path.chmod(0o711)
    machine, other = tmp_path / "etc", tmp_path / "other"
    for folder, word in ((machine, "off"), (other, "on")):
        (folder / "deepchecks" / "telemetry").mkdir(parents=True)
        (folder / "deepchecks" / "telemetry" / "mode").write_text(word)
    monkeypatch.setattr(paths, "USUAL", (".local/state", ".config", str(machine)))
    (machine / "deepchecks").chmod(0o700)
    assert stat.S_IMODE((machine / "deepchecks").stat().st_mode) == 0o700
    found = _as_nobody(lambda: decide(find_home({"XDG_CONFIG_DIRS": str(other), "HOME": "/"}), {}))
    mode = machine / "deepchecks" / "telemetry" / "mode"
    assert found == f"off by the administrator's policy: {mode} cannot be read: Permission denied"
    mode.unlink()
    mode.parent.rmdir()
    assert decide(find_home({"XDG_CONFIG_DIRS": str(other), "HOME": "/"}), {}).mode == "on"


def _as_nobody(act: "Callable[[], consent.Decision]") -> str:
    """What another user would find; the current directory is changed before, as pytest's own are closed to them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.seteuid(65_534)
            decision = act()
            os.write(writing, f"{decision.mode} by {decision.decided_by}: {decision.reason}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    return text
