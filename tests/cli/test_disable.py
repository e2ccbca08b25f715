"""`disable`, what it keeps, `purge`, and `disable --all-users`: each place is named, and nothing of root's is left."""

import json
import os
import shutil
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.cli.page.view import view
from deepchecks_telemetry.spool.files import residue
from deepchecks_telemetry.spool.files.paths import Home

Run = Callable[..., CompletedProcess[str]]
Record = Callable[..., list[bool]]
Files = Callable[[], dict[str, bytes]]
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become other users")
# Two users without an entry in the user database; every variable of theirs is the default.
JANE, JOHN = 61_001, 61_002

RECORD = """
import os, sys
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.uploader.flush import seal_next
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.stats import read_accounts
import filelock, sqlite_utils  # while they can be read
user = int(sys.argv[1])
os.setgroups([]), os.setgid(user), os.setuid(user)
assert record("run-check")
assert seal_next(find_home())
assert record("run-suite")
print(sys.prefix, read_accounts(find_home()).installation_id)
os._exit(0)
"""


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, Path]]:
    """Two users' homes, where those can go: pytest's own folders are closed to them."""
    above = Path(tempfile.mkdtemp(prefix="homes-"))
    above.chmod(0o755)
    found = {user: above / str(user) for user in (JANE, JOHN)}
    for user, folder in found.items():
        folder.mkdir(mode=0o700)
        os.chown(folder, user, user)
    for name in ("DEEPCHECKS_TELEMETRY_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name)
    yield found
    shutil.rmtree(above)


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three virtual environments that see what this one sees."""
    made = []
    for number in range(3):
        folder = tmp_path_factory.mktemp("environment") / str(number)
        venv.create(folder, with_pip=False, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "rooms.pth").write_text("\n".join(filter(os.path.isabs, sys.path)))
        made.append(str(folder / "bin" / "python"))
    return made


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def traces(folder: Path, identifier: str) -> list[str]:
    """Files that hold the identifier or an event's name, read in a process that has nothing open."""
    words = (identifier.encode(), b"run-check", b"run-suite")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


@root
def test_root_wipes_two_users_three_environments_each_and_leaves_nothing_of_its_own(
    homes: dict[int, Path], environments: list[str], python: Run, program: Run
) -> None:
    identifiers = {}
    for user, folder in homes.items():
        told = [python("-c", RECORD, str(user), python=each, HOME=str(folder)).stdout.split() for each in environments]
        assert len({prefix for prefix, _ in told}) == 3
        (identifiers[user],) = {identifier for _, identifier in told}
        assert traces(folder, identifiers[user]) != []
    done = program("disable", "--all-users", *map(str, homes.values()), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    visits = json.loads(done.stdout)
    assert [(visit["user"], visit["home"], visit["error"]) for visit in visits] == [
        (str(user), str(folder), None) for user, folder in homes.items()
    ]
    for visit, (user, folder) in zip(visits, homes.items(), strict=True):
        assert visit["facts"]["removed"]["events"] == 6
        assert visit["facts"]["removed"]["identifiers"] == 1
        assert traces(folder, identifiers[user]) == []
        assert owners(folder) == {user}
        (mode,) = visit["facts"]["off"]
        assert Path(mode).read_text() == "off\n"


@root
def test_what_a_user_has_laid_for_root_hurts_only_that_user(
    homes: dict[int, Path], tmp_path: Path, program: Run, python: Run
) -> None:
    """A link to root's files, in place of the folder and of the file; the other user is wiped all the same."""
    (tmp_path / "roots").mkdir(mode=0o700)
    (tmp_path / "roots" / "spool.db").write_text("mine")
    (homes[JANE] / ".local" / "state" / "deepchecks").mkdir(parents=True)
    (homes[JANE] / ".local" / "state" / "deepchecks" / "telemetry").symlink_to(tmp_path / "roots")
    (homes[JANE] / ".config").symlink_to(tmp_path / "roots")
    (_, identifier) = python("-c", RECORD, str(JOHN), HOME=str(homes[JOHN])).stdout.split()
    done = program("disable", "--all-users", *map(str, homes.values()))
    assert done.returncode == 1
    assert f"{JANE} ({homes[JANE]}): Error: " in done.stderr
    assert done.stderr.endswith(f"Error: Not wiped for {homes[JANE]}. See the errors above.\n")
    assert f"{JOHN} ({homes[JOHN]}): Removed: 2 events, 2 rows, 1 batch, 1 identifier and " in done.stdout
    assert [path.name for path in (tmp_path / "roots").iterdir()] == ["spool.db"]
    assert (tmp_path / "roots" / "spool.db").read_text() == "mine"
    assert traces(homes[JOHN], identifier) == []


@root
def test_without_names_the_users_of_the_user_database_are_visited(
    homes: dict[int, Path], monkeypatch: pytest.MonkeyPatch, deepchecks: Run
) -> None:
    import pwd

    entries = [
        pwd.struct_passwd(("daemon", "x", 2, 2, "", "/", "")),  # no person
        pwd.struct_passwd(("nobody", "x", 65_534, 65_534, "", "/nonexistent", "")),
        *(pwd.struct_passwd((f"user{user}", "x", user, user, "", str(home), "")) for user, home in homes.items()),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    visits = json.loads(deepchecks("disable", "--all-users", "--json").stdout)
    assert [visit["user"] for visit in visits] == [f"user{JANE}", f"user{JOHN}"]
    assert all((home / ".config/deepchecks/telemetry/mode").read_text() == "off\n" for home in homes.values())


@root
def test_a_visit_that_hangs_is_given_up(homes: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from deepchecks_telemetry.cli.users import find_users, visit

    (user,) = find_users([str(homes[JANE])])

    def hang(_: Home) -> dict[str, Any]:
        signal.pause()
        return {}

    assert visit(user, hang, timeout_s=0.2) == {
        "facts": None,
        "error": "the process of this user did not report within 0 s",
    }


@root
def test_a_folder_of_roots_is_no_home_of_a_user(tmp_path: Path, deepchecks: Run) -> None:
    done = deepchecks("disable", "--all-users", str(tmp_path))
    assert done.returncode == 1
    assert "belongs to root" in done.stderr
    assert list(tmp_path.rglob("mode")) == []


def test_homes_without_all_users_is_a_mistake(deepchecks: Run, tmp_path: Path) -> None:
    done = deepchecks("disable", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.rglob("mode")) == []


def test_disable_keeps_the_settings_and_says_so_and_enable_says_that_they_are_back(
    deepchecks: Run, home: Path, receiver: Any
) -> None:
    deepchecks("enable", "--endpoint", receiver.url, "--header", "X-Token=secret")
    kept = home / "config" / "endpoint"
    done = deepchecks("disable")
    assert f"Settings are kept: {kept}. To remove them: deepchecks telemetry purge\n" in done.stdout
    assert json.loads(deepchecks("disable", "--json").stdout)["kept_settings"] == [str(kept)]
    done = deepchecks("enable")
    assert f"Counts are sent to {receiver.url}/v1/logs, at most once a day." in done.stdout
    assert done.stdout.endswith("The endpoint is set by your choice.\n")
    done = deepchecks("enable", "--no-endpoint")
    assert done.stdout == (
        f"Removed {kept}\nTelemetry is on, for all environments of this user.\n"
        "Nothing is sent: no endpoint is set.\nRun: deepchecks telemetry enable --endpoint https://HOST\n"
    )
    assert os.listdir(home / "config") == ["mode"]
    assert deepchecks("enable", "--no-endpoint").stdout.startswith("Nothing to remove: you have not set an endpoint.\n")
    done = deepchecks("enable", "--no-endpoint", "--endpoint", receiver.url)
    assert done.returncode == 2


def test_the_endpoint_in_force_is_named_with_who_set_it(deepchecks: Run) -> None:
    variables = {"DEEPCHECKS_TELEMETRY_ENDPOINT": "https://collector.example.org"}
    done = deepchecks("enable", "--endpoint", "https://mine.example.org", **variables)
    assert "Counts are sent to https://collector.example.org/v1/logs, at most once a day." in done.stdout
    assert done.stdout.endswith("The endpoint is set by DEEPCHECKS_TELEMETRY_ENDPOINT.\n")


def test_what_is_written_and_wiped_elsewhere_too_is_named(
    program: Run, record: Record, registered: Path, home: Path
) -> None:
    default = {"DEEPCHECKS_TELEMETRY_DIR": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "HOME": str(registered)}
    assert record("run-check") == record("run-check", **default) == [True]
    facts = json.loads(program("disable", "--json").stdout)
    places = [home / "config", registered / ".config" / "deepchecks" / "telemetry"]
    assert facts["off"] == [str(place / "mode") for place in places]
    states = [home / "state", registered / ".local" / "state" / "deepchecks" / "telemetry"]
    assert facts["wiped"] == [str(state) for state in states]
    assert facts["removed"]["events"] == 2
    assert record("run-check") == record("run-check", **default) == [False]
    said = program("disable").stdout
    assert all(
        f"Wrote off to {place / 'mode'} and wiped {state}\n" in said
        for place, state in zip(places, states, strict=True)
    )
    done = program("enable")
    assert done.stdout.startswith(f"Your choice is on, by {home / 'config' / 'mode'}.\n")
    command = "env -u DEEPCHECKS_TELEMETRY_DIR -u XDG_STATE_HOME -u XDG_CONFIG_HOME -u HOME deepchecks telemetry enable"
    assert f"To change that choice too, run: {command}\n" in done.stderr
    assert "decided by your choice in the default directory" in done.stderr
    assert record("run-check") == [False]
    assert program("enable", **default).returncode == 0
    assert record("run-check") == record("run-check", **default) == [True]


def test_purge_leaves_the_word_off_and_nothing_else(
    program: Run, record: Record, environment: str, python: Run, home: Path, tmp_path: Path, receiver: Any
) -> None:
    library = tmp_path / "environment" / "lib"
    (packages,) = library.glob("python*/site-packages")
    (packages / "deepchecks").mkdir()
    (packages / "deepchecks" / "__init__.py").touch()
    (packages / "deepchecks" / ".user_id").write_text("0b0e")
    telemetry = ("-m", "deepchecks_telemetry.cli", "telemetry")
    assert python(*telemetry, "attach", python=environment).returncode == 0
    attached = packages / "deepchecks_telemetry_attach.pth"
    assert attached.exists()
    program("enable", "--endpoint", receiver.url, "--header", "X-Token=secret")
    assert record("run-check", "run-suite") == [True, True]
    assert program("export", str(tmp_path / "carried.jsonl")).returncode == 0
    assert program("deliver", str(tmp_path / "carried.jsonl"), "--endpoint", receiver.url).returncode == 0
    (home / "config" / "endpoint.0123456789ab.new").write_text("half written, with a token")
    (home / "config" / "notes").write_text("of the user's own")

    done = python(*telemetry, "purge", "--json", python=environment)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    expected = [
        tmp_path / "carried.jsonl",
        *(home / "state" / name for name in ("spool.db", "spool.lock", "upload.lock")),
        *(home / "config" / name for name in ("endpoint", "endpoint.0123456789ab.new")),
        *(home / "courier" / name for name in ("ledger.db", "ledger.db.lock")),
        attached,
        packages / "deepchecks" / ".user_id",
    ]
    assert set(facts["removed_files"]) >= set(map(str, expected))
    assert not any(map(os.path.lexists, facts["removed_files"]))
    assert facts["left"] == facts["residue"] == facts["kept_settings"] == facts["problems"] == []
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*")) == [
        "config",
        "config/mode",
        "config/notes",
    ]
    assert (home / "config" / "mode").read_text() == "off\n"
    assert record("run-check") == [False]
    assert not (home / "state").exists()
    done = python(*telemetry, "purge", python=environment)
    assert done.stdout == f"Kept: the choice off in {home / 'config' / 'mode'}, for all environments of this user.\n"


def test_a_page_is_written_to_one_folder_which_disable_takes_away(
    deepchecks: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(webbrowser, "open", lambda _: True)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / f"{residue.PAGES}theirs").mkdir()
    (tmp_path / "temporary" / f"{residue.PAGES}theirs" / "notes").write_text("somebody's")
    for _ in range(3):
        assert deepchecks("view").returncode == 0
    pages = list((tmp_path / "temporary").rglob("*.html"))
    assert len(pages) == 1
    facts = json.loads(deepchecks("disable", "--json").stdout)
    assert facts["removed_files"] == [str(pages[0])]
    left = [path.relative_to(tmp_path / "temporary").as_posix() for path in (tmp_path / "temporary").rglob("*")]
    assert sorted(left) == [f"{residue.PAGES}theirs", f"{residue.PAGES}theirs/notes"]


def test_a_notebook_keeps_no_identifier_no_batch_and_no_path(
    deepchecks: Run, record: Record, sql: Callable[..., list[Any]], home: Path, tmp_path: Path
) -> None:
    assert record("run-check") == [True]
    deepchecks("preview")
    assert record("run-suite") == [True]
    output = view._repr_html_()
    ((identifier,),) = sql("SELECT installation FROM spool")
    uids = [uid for (uid,) in sql("SELECT uid FROM rows")]
    digests = [digest[:8] for (digest,) in sql("SELECT sha256 FROM batches")]
    assert uids
    assert digests
    assert [word for word in (identifier, *uids, *digests, str(tmp_path)) if word in output] == []
    assert "not shown here, because a notebook keeps its output" in output.replace("Not", "not")


def test_the_path_of_an_export_is_gone_from_every_file(
    program: Run, record: Record, files: Files, tmp_path: Path
) -> None:
    """It can name a project."""
    (tmp_path / "project-blue").mkdir()
    assert record("run-check") == [True]
    assert program("export", str(tmp_path / "project-blue" / "counts.jsonl")).returncode == 0
    assert any(b"project-blue" in content for content in files().values())
    facts = json.loads(program("disable", "--json").stdout)
    assert facts["removed_files"] == [str(tmp_path / "project-blue" / "counts.jsonl")]
    assert not any(b"project-blue" in content for content in files().values())


def test_an_export_that_a_damaged_spool_knew_of_is_removed(
    program: Run, record: Record, home: Path, tmp_path: Path
) -> None:
    assert record("run-check") == [True]
    assert program("export", str(tmp_path / "carried.jsonl")).returncode == 0
    with (home / "state" / "spool.db").open("r+b") as file:
        file.seek(1024 * 2)  # the root page of a table that each access reads
        file.write(b"\x33" * 1024)
    assert "integrity" in program("doctor").stdout or record("run-check")
    facts = json.loads(program("disable", "--json").stdout)
    assert not (tmp_path / "carried.jsonl").exists()
    assert str(tmp_path / "carried.jsonl") in facts["removed_files"]


def test_a_file_that_cannot_be_removed_is_reported(
    deepchecks: Run, record: Record, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record("run-check") == [True]
    kept = str(home / "state" / "spool.db.damaged-1")
    Path(kept).write_bytes(b"...")
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path, **more: None if path == kept else unlink(path, **more))
    done = deepchecks("disable")
    assert done.returncode == 1
    assert done.stderr == f"Error: Could not remove {kept}. Remove it by hand, or run disable again.\n"
