"""A disk from somebody else: no file on it blocks a command, fills the memory, writes elsewhere or adds free text."""

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deepchecks_telemetry import cli
from deepchecks_telemetry.collector import report, running
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.catalogue import MAX_COUNT
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.errors import BadFile
from deepchecks_telemetry.uploader.offline.bundle import read_file
from deepchecks_telemetry.uploader.offline.export import export

from .network import Listener, listening

MIB = 2**20
QUICK_S = 30  # longer than any command takes that does not block
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
WITH_PROC = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/PID/status")
SECRET = b"alice@example.org"
UID = b"00000000-0000-4000-8000-000000000000"


def deepchecks(*arguments: object, **named: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=QUICK_S, **named)  # type: ignore[call-overload,no-any-return]


def run_in_process(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the command in this process, which takes a tenth of the time."""
    words = ["telemetry", *map(str, arguments)]
    done = CliRunner().invoke(cli.deepchecks, words, catch_exceptions=False)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def server() -> Iterator[Listener]:
    with listening() as running_one:
        yield running_one


@pytest.fixture
def exported(stick: Path, home: Path) -> Path:
    """An exported file with two events in two rows."""
    assert record("run-check")
    assert record("run-suite")
    (made,) = export(find_home(), str(stick / "counts.jsonl"))
    return Path(made.path)


def bodies(server: Listener) -> list[bytes]:
    return [gzip.decompress(request.partition(b"\r\n\r\n")[2]) for request in server.requests]


# --- files that are not regular


HELD: list[int] = []


@pytest.fixture(autouse=True)
def close_held_files() -> Iterator[None]:
    yield
    while HELD:
        os.close(HELD.pop())


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_fifo_that_is_held_open(path: Path) -> None:
    os.mkfifo(path)
    HELD.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_a_secret(path: Path) -> None:
    path.with_suffix(".txt").write_bytes(SECRET)
    path.symlink_to(path.with_suffix(".txt"))


def leave_empty(_: Path) -> None:
    pass


@ON_POSIX
@pytest.mark.parametrize(
    "make",
    [a_fifo, a_fifo_that_is_held_open, a_folder, a_link_to_a_device, a_link_to_itself, a_link_to_a_secret, leave_empty],
)
@pytest.mark.parametrize("command", ["deliver", "settle", "collector load"])
def test_a_file_that_is_not_regular_is_refused_without_waiting(
    command: str, make: Callable[[Path], None], stick: Path, server: Listener, tmp_path: Path
) -> None:
    path = stick / "counts.jsonl"
    make(path)
    options = {"deliver": ["--endpoint", server.url], "settle": []}.get(command, ["--store", str(tmp_path / "s.db")])
    # In a process of its own, because it could block.
    run = deepchecks if make in (a_fifo, a_fifo_that_is_held_open) else run_in_process
    done = run(*command.split(), path, *options)
    assert done.returncode in (1, 2) or make is a_folder, done
    assert SECRET.decode() not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert server.requests == []


@ON_POSIX
@pytest.mark.parametrize("make", [a_fifo, a_fifo_that_is_held_open, a_folder, a_link_to_a_device, a_link_to_a_secret])
def test_an_export_does_not_block_on_or_overwrite_an_existing_path(
    make: Callable[[Path], None], stick: Path, home: Path
) -> None:
    assert record("run-check")
    path = stick / "counts.jsonl"
    make(path)
    done = (deepchecks if make in (a_fifo, a_fifo_that_is_held_open) else run_in_process)("export", path)
    if make is a_folder:
        assert (done.returncode, len(os.listdir(path))) == (0, 1)
    else:
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert [file.read_bytes() for file in stick.glob("*.txt")] == [SECRET] * (make is a_link_to_a_secret)


@ON_POSIX
def test_a_link_at_an_output_path_is_replaced_and_not_followed(
    stick: Path, exported: Path, server: Listener, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    first = run_in_process("deliver", exported, "--endpoint", server.url)
    receipt = Path(first.stdout.rpartition("receipt: ")[2].strip())
    content = receipt.read_bytes()  # whoever has the file can compute its receipt, and the receipt's name
    receipt.unlink()
    receipt.symlink_to(theirs)
    assert run_in_process("deliver", exported, "--endpoint", server.url).returncode == 0
    assert (receipt.is_symlink(), receipt.read_bytes()) == (False, content)
    exported.unlink()
    exported.symlink_to(theirs)
    assert run_in_process("export", exported, "--again").returncode == 0
    assert (exported.is_symlink(), theirs.exists()) == (False, False)


@ON_POSIX
def test_a_file_name_is_printed_as_text_and_not_followed(stick: Path, exported: Path, server: Listener) -> None:
    named = stick / "..%2f..%2fetc\x1b[2J\n\u202e.jsonl"
    named.write_bytes(exported.read_bytes()[:-5])
    dashed = stick / "--\x1b[2J.jsonl"
    dashed.write_bytes(b"")
    for done in (
        run_in_process("deliver", named, "--endpoint", server.url),
        deepchecks("deliver", dashed.name, "--endpoint", server.url, cwd=stick),
        run_in_process("settle", named),
    ):
        assert done.returncode in (1, 2)
        assert (done.stdout + done.stderr).replace("\n", "").isprintable()
    assert {path.name for path in stick.iterdir()} == {exported.name, named.name, dashed.name}


# --- files that are too large

READER = """
import sys
from pathlib import Path
from deepchecks_telemetry.collector import CollectorError, loader as loading
from deepchecks_telemetry.uploader.errors import BadFile
from deepchecks_telemetry.uploader.offline import bundle, receipt
def peak_mib():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
before = peak_mib()
try:
    if sys.argv[1] == "store":
        loading.load(Path(sys.argv[2]).with_name("s.db"), [Path(sys.argv[2])])
        raise BadFile
    (receipt.read if sys.argv[1] == "receipt" else bundle.read_file)(sys.argv[2])
except (BadFile, CollectorError):
    print(peak_mib() - before)
"""


def a_line_of_10_gb(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def empty_lines(path: Path) -> None:
    path.write_bytes(b"\n" * (64 * MIB))


def many_wrong_lines(path: Path) -> None:
    path.write_bytes(b"x\n" * 100_000)


def a_line_of_many_objects(path: Path) -> None:
    path.write_bytes(b'{"resourceLogs":[' + b"{}," * (5 * MIB) + b"{}]}\n")


def a_line_of_depth(path: Path) -> None:
    path.write_bytes(b"[" * (8 * MIB) + b"\n")


@WITH_PROC
@pytest.mark.parametrize(
    ("make", "kind", "most_mib"),
    [
        (a_line_of_10_gb, "export", 4),
        (a_line_of_10_gb, "receipt", 4),
        (a_line_of_10_gb, "store", 24),
        (many_wrong_lines, "store", 8),
        (empty_lines, "export", 160),
        (a_line_of_many_objects, "export", 80),
        (a_line_of_depth, "export", 40),
        (a_line_of_depth, "receipt", 40),
    ],
)
def test_a_too_large_file_does_not_use_memory(
    make: Callable[[Path], None], kind: str, most_mib: int, stick: Path
) -> None:
    make(stick / "counts.jsonl")
    command = [sys.executable, "-c", READER, kind, str(stick / "counts.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=QUICK_S)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < most_mib


# --- content that our export would not write


def hostile_files(content: bytes) -> dict[str, bytes]:
    """The exported file with one change that our export would not write."""
    day = content.partition(b'"timeUnixNano":"')[2].partition(b'"')[0]
    uid = content.partition(b'"log.record.uid","value":{"stringValue":"')[2][:36]
    count, system = b'"intValue":"1"', b'"os.type","value":{"stringValue":"'
    return {
        "a count of infinity": content.replace(count, b'"intValue":1e999', 1),
        "a count by the word": content.replace(count, b'"intValue":Infinity', 1),
        "no number": content.replace(count, b'"intValue":NaN', 1),
        "a count of many digits": content.replace(count, b'"intValue":"' + b"9" * 4_000 + b'"', 1),
        "a count of too many digits": content.replace(count, b'"intValue":"' + b"9" * 5_000 + b'"', 1),
        "more than can have been": content.replace(count, b'"intValue":"%d"' % MAX_COUNT, 1),
        "a count of none": content.replace(count, b'"intValue":"0"', 1),
        "a day before all days": content.replace(b'"' + day + b'"', b'"-86400000000000"'),
        "a day after all days": content.replace(b'"' + day + b'"', b'"%d"' % (10**30 * 86_400)),
        "an endless day": content.replace(b'"' + day + b'"', b"1e999"),
        "free text for an uid": content.replace(uid, SECRET),
        "a lone surrogate": content.replace(uid, b"\\ud800"),
        "another script's digits": content.replace(count, '"intValue":"١"'.encode(), 1),
        "a key twice": content.replace(b'"eventName"', b'"eventName":"' + SECRET + b'","eventName"', 1),
        "a key that nobody reads": content.replace(b'"eventName"', b'"body":{"stringValue":"x"},"eventName"', 1),
        "a byte order mark": b"\xef\xbb\xbf" + content,
        "utf-16": content.decode().encode("utf-16"),
        "carriage returns": content.replace(b"\n", b"\r\n"),
        "a terminal's control": content.replace(system, system + b"\\u001b[2J", 1),
        "a version with a name": content.replace(b'"version":"', b'"version":"1+alice.', 1),
        "an empty group": content.replace(b'"resourceLogs":[', b'"resourceLogs":[{},', 1),
        "null": content.replace(b'"attributes":[', b'"attributes":[null,', 1),
    }


EXAMPLE = (
    b'{"os.type","value":{"stringValue":"linux","log.record.uid","value":{"stringValue":"'
    + UID
    + b'"timeUnixNano":"0","intValue":"1"\n'
)


@pytest.mark.parametrize("what", hostile_files(EXAMPLE))
def test_a_hostile_file_is_refused_completely_with_a_printable_message(exported: Path, what: str) -> None:
    content = exported.read_bytes()
    poisoned = hostile_files(content)[what]
    assert poisoned != content
    exported.write_bytes(poisoned)
    with pytest.raises(BadFile) as caught:
        read_file(str(exported))
    assert str(caught.value).isprintable()
    assert SECRET.decode() not in str(caught.value)


def test_deliver_skips_hostile_files_and_sends_the_others(exported: Path, server: Listener) -> None:
    content, files = exported.read_bytes(), [exported]
    for number, poisoned in enumerate(hostile_files(content).values()):
        files.append(exported.with_name(f"{number}.jsonl"))
        files[-1].write_bytes(poisoned)
    done = run_in_process("deliver", *files, "--endpoint", server.url)
    assert (done.returncode, done.stderr.count("Skipped: ")) == (1, len(files) - 1)
    assert bodies(server) == [content[:-1]]
    assert (done.stdout + done.stderr).replace("\n", "").isprintable()


def test_repeated_lines_and_uids_are_counted_once(exported: Path, tmp_path: Path) -> None:
    """Also if they have another installation's id and a larger count: the first one counts."""
    line = exported.read_bytes()
    request = json.loads(line)
    (installation,) = {
        pair["value"]["stringValue"]
        for group in request["resourceLogs"]
        for pair in group["resource"]["attributes"]
        if pair["key"] == "app.installation.id"
    }
    theirs = line.replace(installation.encode(), str(uuid.UUID(int=7)).encode()).replace(b'"1"', b'"900"')
    exported.write_bytes(line + line + theirs)
    with running(tmp_path / "store.db") as url:
        assert run_in_process("deliver", exported, exported, "--endpoint", url).returncode == 0
        found = report(tmp_path / "store.db")
    assert (found.total.events, found.total.rows, found.total.installations) == (2, 2, 1)
