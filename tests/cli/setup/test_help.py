"""The tables of `help files` and `help environment` have every file that a real run makes, and every variable."""

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deepchecks_telemetry.cli.setup.help import FILES, ON_LINUX, VARIABLES, directories
from deepchecks_telemetry.spool.consent.decision import SWITCHES
from deepchecks_telemetry.spool.consent.resource import _CI
from deepchecks_telemetry.uploader.child.command import PATH_VARIABLES

CHECKOUT = Path(__file__).parents[3]
PACKAGES = ("spool", "uploader", "hooks", "collector", "cli")
SOURCES = [path for name in PACKAGES for path in (CHECKOUT / name).rglob("*.py")]
WITH_UNDERSCORE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
# Flags of open(), names of ours in Python, a line of os-release, an attribute of deepchecks' own telemetry.
NOT_VARIABLES = {"O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "MIN_CELL", "VERSION_ID"}
NOT_VARIABLES |= {"ANALYTICS_DISABLED"}
OF_REQUESTS = {"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"}
# Of click, and of the standard library's tempfile, shutil and webbrowser.
OF_LIBRARIES = {"PAGER", "_DEEPCHECKS_COMPLETE", "TMPDIR", "TEMP", "TMP", "COLUMNS", "LINES", "BROWSER"}
# Python's own: caches, devices, the file by which tempfile tests a directory; and older versions of filelock, when they
# are imported, test hard links in a temporary directory.
OF_OTHERS = re.compile(
    r"__pycache__|^/dev/|/TMP/[a-z0-9_]{8}$|/TMP/tmp[a-z0-9_]{8}(/probe-source)?$|/\.__atomic-write\w+$|^/proc/"
)
BESIDE = re.compile(r"(\.[0-9a-f]{12}\.new|-journal|-wal|-shm)$")  # of a file that is written; of SQLite's
RECORD = "from deepchecks_telemetry.spool import record; assert record('run-check')"
CREATED = re.compile(r'(?:(?:open|openat)\([^"]*"([^"]+)", [^)]*O_CREAT|mkdir(?:at)?\([^"]*"([^"]+)")[^=]* = \d')

Run = Callable[..., CompletedProcess[str]]


def strings() -> Iterator[str]:
    for path in SOURCES:
        if path.name != "help.py":
            nodes = ast.walk(ast.parse(path.read_text("utf-8")))
            yield from (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_the_table_has_the_variables_of_the_sources_and_no_others() -> None:
    listed = [name for row in VARIABLES for name in row.name.split()]
    assert len(listed) == len(set(listed))
    read = {name for name in strings() if WITH_UNDERSCORE.fullmatch(name)} - NOT_VARIABLES
    read |= {*SWITCHES, *_CI, *PATH_VARIABLES, *OF_REQUESTS, *OF_LIBRARIES, "SSL_CERT_DIR", "HOME", "container"}
    assert set(listed) == read


def row_of(path: Path, home: Path) -> str | None:
    """The row of the table for a file, with the directories of the test in place of the usual ones."""
    folders = {"STATE": home / "state", "CONFIG": home / "config", "COURIER": home / "courier"}
    for row in FILES:
        name, _, rest = row.path.partition("/")
        if name in folders and fnmatch(str(path), str(folders[name] / rest)):
            return row.path
    return None


@pytest.fixture
def files(home: Path) -> Callable[[], dict[str, Any]]:
    """The files of a user by the rows of the table; a file that is not in the table is an error."""

    def find() -> dict[str, Any]:
        found = {path: row_of(path, home) for path in home.rglob("*") if path.is_file()}
        assert None not in found.values(), found
        return {str(row): f"{path.stat().st_mode & 0o777:04o}" for path, row in found.items()}

    return find


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of this kind")
def test_the_table_has_each_file_of_a_real_run_with_its_mode_and_lifetime(
    deepchecks: Run, program: Run, record: Callable[..., list[bool]], home: Path, stick: Path, files: Any
) -> None:
    from deepchecks_telemetry.spool.files.paths import find_home
    from deepchecks_telemetry.uploader.endpoint import Endpoint
    from deepchecks_telemetry.uploader.notice import mark_shown
    from deepchecks_telemetry.uploader.setting import ATTACHED

    record("run-check")
    seen = files()  # with what SQLite leaves when a program ends, and the next command removes
    assert program("enable", "--endpoint", "http://127.0.0.1:9").returncode == 0
    assert program("export", str(stick)).returncode == 0
    program("deliver", *map(str, stick.glob("*.jsonl")))  # nothing answers; the ledger is created
    program("view", BROWSER="true")
    mark_shown(find_home(), Endpoint("https://library.example.org/v1/logs", ATTACHED))
    record("run-check")
    program("flush")
    record("run-suite")
    (home / "state" / "spool.db.damaged-1").touch(mode=0o600)
    seen |= files()
    modes = {row.path: row.mode for row in FILES}
    assert {row: mode for row, mode in seen.items() if modes[row] != "umask"} == {
        row: modes[row] for row in seen if modes[row] != "umask"
    }
    assert {folder.stat().st_mode & 0o777 for folder in (home / "state", home / "config", home / "courier")} == {0o700}
    until = {row.path: row.until for row in FILES if row.path.partition("/")[0] in ("STATE", "CONFIG", "COURIER")}
    # Those that this test does not make, because they are of other situations.
    others = {f"STATE/spool.db{suffix}" for suffix in ("-journal", ".new", ".linked-*", ".unreadable", "-replaced")}
    others |= {row for row in until if row.endswith((".new", "/.trial-*", "ledger.db-journal"))}
    assert set(until) - set(seen) <= others | {"STATE/spool.db.damaged-*"}
    assert program("disable").returncode == 0
    kept = {row for row in seen if "disable" not in until[row] or until[row].startswith("emptied")}
    of_sqlite = {"STATE/spool.db-wal", "STATE/spool.db-shm"}  # exist only while a process has the spool open
    assert set(files()) - of_sqlite == kept - of_sqlite
    assert program("purge").returncode == 0
    assert set(files()) == {row for row in kept if "purge" not in until[row]} == {"CONFIG/mode"}


def test_each_path_that_a_command_creates_is_in_the_table(
    python: Run, receiver: Any, home: Path, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    """Also those that exist only while it runs, by a trace of its system calls."""
    pytest.importorskip("uvicorn")
    log = tmp_path / "trace"
    trace = ["-f", "-qq", "-A", "-s", "999", "-e", "trace=?open,openat,?mkdir,mkdirat", "-o", str(log), sys.executable]
    places = {"STATE": home / "state", "CONFIG": home / "config", "COURIER": home / "courier"}
    places |= {name: tmp_path / name for name in ("TMP", "DIR")}
    for name in ("TMP", "DIR"):
        places[name].mkdir()
    for command in (
        "view", "doctor", "", f"enable --endpoint {receiver.url}", "export DIR", "flush", "", "export FILE.jsonl",
        "deliver FILE.jsonl --receipt DIR", "deliver FILE.jsonl --receipt DIR --ledger LEDGER", "view --output PAGE",
        "collector load FILE.jsonl --store collector.db", "tour", "disable --report REPORT",
    ):  # fmt: skip
        ours = ["-m", "deepchecks_telemetry.cli", "telemetry", *command.split()] if command else ["-c", RECORD]
        done = python(*trace, *ours, python=tool("strace"), BROWSER="true", TMPDIR=str(places["TMP"]))
        assert done.returncode == 0, (command, done.stderr)
    rows = [row.path.partition("/") for row in FILES]
    patterns = [home, *places.values(), tmp_path / ".trial-*"]  # doctor runs before there is a STATE
    patterns += [places[first] / rest if first in places else tmp_path / first for first, _, rest in rows]
    patterns += [pattern.parent for pattern in patterns if pattern.parent.parent == places["TMP"]]
    paths = {os.path.join(tmp_path, path) for pair in CREATED.findall(log.read_text()) for path in pair if path}
    ours = [BESIDE.sub("", path) for path in paths if not OF_OTHERS.search(path)]
    assert len(ours) > 20
    assert [path for path in ours if not any(fnmatch(path, str(pattern)) for pattern in patterns)] == []


def test_the_directories_are_those_of_a_user_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepchecks_telemetry.spool.files import paths

    if paths.USUAL[0] != ".local/state" or sys.platform == "win32":
        pytest.skip("the table is for Linux")
    home = paths.find_home({"HOME": "/home/jane"})._replace(default=None, policy=ON_LINUX.policy)
    documented = directories(ON_LINUX, "/tmp").items()
    assert directories(home, "/tmp") == {name: path.replace("~", "/home/jane") for name, path in documented}


def test_the_directories_that_are_printed_are_those_of_this_system(deepchecks: Run) -> None:
    from deepchecks_telemetry.spool.files.paths import find_home

    lines = dict(
        line.split(maxsplit=1) for line in deepchecks("help", "files").stdout.partition("\n\n")[0].splitlines()
    )
    home = find_home()
    assert (lines["STATE"], lines["CONFIG"], lines["POLICY"]) == (home.state, home.config, home.policy)
    assert Path(lines["TMP"]).is_dir()
    assert not (Path(home.config).parent / "courier").exists()  # printing a path creates nothing


@pytest.mark.parametrize("topic", ["environment", "files"])
def test_a_topic_is_printed(topic: str, deepchecks: Run) -> None:
    expected = {"environment": "DEEPCHECKS_TELEMETRY_DIR", "files": "STATE/spool.db-wal"}[topic]
    done = deepchecks("help", topic)
    assert (done.returncode, expected in done.stdout) == (0, True)


def test_help_prints_the_help_of_a_command_of_an_alias_and_of_all(deepchecks: Run) -> None:
    assert deepchecks("help", "flush").stdout == deepchecks("flush", "--help").stdout
    assert "Turn telemetry off" in deepchecks("help", "off").stdout
    assert deepchecks("help").stdout.endswith("Topics of help: environment, files.\n")
    done = deepchecks("help", "flsh")
    assert (done.returncode, "no command or topic 'flsh'" in done.stderr) == (1, True)
