"""If permissions were changed, a directory of this user is closed to others again, and `disable` works there."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.spool.stored import Stored, stored

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.doctor import WRONG, examine
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase

Run = Callable[..., str]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
NOBODY = 65_534
RECORD = "from deepchecks_telemetry.spool import record; print(record('run-check'))"


def open_to_the_group(folder: Path) -> None:
    """Change permissions as Kubernetes does on a volume with fsGroup each time a container starts."""
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | 0o2070 if path.is_dir() else mode | 0o060)


def modes(folder: str) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in Path(folder).iterdir()}


def test_recording_continues_after_kubernetes_opens_the_directory_to_a_group(
    dirs: Home, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(dirs, "on")
    assert run(RECORD) == "True\n"
    open_to_the_group(home)
    monkeypatch.delenv("DEEPCHECKS_TELEMETRY")
    decision = decide(dirs, {})
    assert (decision.mode, decision.decided_by) == ("on", "your choice")
    assert run(RECORD) == "True\n"
    assert modes(dirs.state) == modes(dirs.config) == {0o600}
    assert {os.stat(folder).st_mode & 0o777 for folder in (dirs.state, dirs.config)} == {0o700}
    assert not [found for found in examine(dirs) if found.level == WRONG]
    open_to_the_group(home)
    erase(dirs)
    assert (read_accounts(dirs), stored(dirs)) == (Accounts(), Stored(closed=True))


@pytest.mark.parametrize("mode", [0o777, 0o2775, 0])
def test_disable_works_in_any_directory_of_the_user(dirs: Home, run: Run, mode: int) -> None:
    assert run(RECORD) == "True\n"
    os.makedirs(dirs.config, exist_ok=True)
    os.chmod(dirs.state, mode)
    os.chmod(dirs.config, mode)
    erased = erase(dirs)
    assert erased.before.recorded == 1
    assert find_residue(dirs, erased.markers)[1] == []
    assert run(RECORD) == "False\n"


def test_disable_works_if_permissions_cannot_be_changed(dirs: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On vfat, or a share whose permissions are set by the mount, nothing is recorded, but it can be wiped."""
    assert run(RECORD) == "True\n"
    os.chmod(dirs.state, 0o777)
    with monkeypatch.context() as mounted:
        mounted.setattr(os, "chmod", lambda *_: None)
        erased = erase(dirs)
    assert set(erased.removed) >= {dirs.spool}
    assert not os.path.exists(dirs.spool)


def test_a_choice_in_a_world_writable_directory_is_off_with_the_reason(dirs: Home) -> None:
    choose(dirs, "on")
    os.chmod(dirs.config, 0o777)
    decision = decide(dirs, {})
    assert (decision.mode, decision.decided_by) == ("off", "your choice")
    assert decision.reason == f"{dirs.config} is writable by other users"
    found = {finding.name: finding for finding in examine(dirs)}["choice"]
    assert (found.level, found.text) == (WRONG, f"counts as off: {decision.reason}")
    with pytest.raises(Unusable, match="is writable by other users"):
        choose(dirs, "on")


def test_a_mode_file_of_another_user_is_not_trusted(dirs: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    choose(dirs, "on")
    os.chown(dirs.mode, 12_345, 12_345)
    assert decide(dirs, {}).reason == f"{dirs.config} contains a mode file that belongs to another user"
    os.chown(dirs.mode, 0, 0)
    os.chmod(dirs.config, 0o755)
    os.chmod(dirs.mode, 0o666)
    assert decide(dirs, {}).reason == f"{dirs.config} contains a mode file that is writable by other users"


def test_the_permissions_of_a_links_target_are_not_changed(dirs: Home, tmp_path: Path) -> None:
    """People keep their configuration elsewhere, and may share it."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    (tmp_path / "shared" / "mode").write_text("on\n")
    os.makedirs(os.path.dirname(dirs.config))
    os.symlink(tmp_path / "shared", dirs.config)
    assert decide(dirs, {}).reason == f"{dirs.config} is writable by other users"
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o775


@pytest.fixture
def nobodys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of another user, as whom root can act; outside pytest's directories, which are closed to them."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    above = Path(tempfile.mkdtemp(prefix="nobody-"))
    above.chmod(0o755)
    (above / "home").mkdir()
    os.chown(above / "home", NOBODY, NOBODY)
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(above / "home"))
    monkeypatch.delenv("XDG_CONFIG_DIRS")
    yield above / "home"
    shutil.rmtree(above)


AS_NOBODY = f"""
import filelock, os
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import decide
from deepchecks_telemetry.spool.files.paths import find_home
os.setegid({NOBODY}), os.seteuid({NOBODY})
"""


@pytest.mark.parametrize("umask", [0o777, 0o077, 0])
def test_our_files_are_readable_by_this_user_whatever_the_umask(nobodys: Path, umask: int, run: Run) -> None:
    act = f"os.umask({umask}); choose(find_home(), 'on'); print(record('run-check')); os._exit(0)"
    assert run(AS_NOBODY + act) == "True\n"
    for name in ("state", "config"):
        assert modes(str(nobodys / name)) == {0o600}
        assert stat.S_IMODE((nobodys / name).stat().st_mode) == 0o700


def test_an_unsearchable_home_is_named_as_the_reason(nobodys: Path, run: Run) -> None:
    os.chown(nobodys, 0, 0)
    nobodys.chmod(0o700)
    output = run(AS_NOBODY + "decision = decide(find_home(), {}); print(decision.mode, decision.reason)")
    assert output == f"off {nobodys / 'config' / 'mode'} cannot be read: Permission denied\n"
