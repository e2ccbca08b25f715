"""The checks of `doctor` on the spool: one finding for each thing that can be wrong, with what to do about it.

The database's files are only examined through SQLite and stat(2), because opening and closing them in a process that
has the spool open would drop SQLite's locks.
"""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deepchecks_telemetry.spool.consent.decision import CHOICE, OFF, POLICY, SWITCHES, Source, decide
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import SCHEMA_VERSION
from deepchecks_telemetry.spool.errors import Damaged, Outdated, SpoolError
from deepchecks_telemetry.spool.files.directory import check_state_dir, is_remote
from deepchecks_telemetry.spool.files.lock import hold
from deepchecks_telemetry.spool.files.paths import REPLACED, Home, without_variables
from deepchecks_telemetry.spool.files.quarantine import find_replaced, find_set_aside, quarantined
from deepchecks_telemetry.spool.files.regular import SIDE_SUFFIXES, is_hard_linked_database, is_lockable, status_of
from deepchecks_telemetry.spool.recovery.hard_links import separate
from deepchecks_telemetry.spool.stats import explain_dropped, query_accounts
from deepchecks_telemetry.spool.trial import try_first_record

OK, WARNING, WRONG = "ok", "warning", "wrong"
RESET_BUG = ((3, 7, 0), (3, 51, 2))  # the WAL-reset bug: two simultaneous checkpoints can lose a commit
LOCK_S = 2.0
MAX_WAL_BYTES = 4 * 2**20
OUR_FILES = ("spool.lock", "upload.lock", "spool.db.view.html", "exports.jsonl")

START_EMPTY = "run deepchecks telemetry disable, then enable, to start with an empty spool; pending events are lost"
SETTLE = "run deepchecks telemetry settle RECEIPT; a late receipt still counts them as delivered"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: `level` is ok, warning or wrong; `remedy` says what to do about it."""

    name: str
    level: str
    text: str
    remedy: str | None = None


def examine(home: Home, *, clock: Callable[[], float] = time.time) -> list[Finding]:
    """All findings, in the order in which a person would check; only a few if there is no spool."""
    if not os.path.lexists(home.state):
        return [*_choices(home), _no_spool(home), _sqlite()]
    return [
        *_choices(home),
        _directory(home),
        *_hard_link(home),
        *_files(home),
        _file_system(home),
        _lock(home),
        *_content(home, clock()),
        _sqlite(),
    ]


def _directory(home: Home) -> Finding:
    try:
        check_state_dir(home)
    except (SpoolError, OSError) as error:
        return Finding("directory", WRONG, str(error), f"make sure that you own it, and run chmod 700 {home.state}")
    return Finding("directory", OK, "owned by you, and not writable by other users")


def _choices(home: Home) -> Iterator[Finding]:
    """A finding for each source of the mode that counts as off because it cannot be read, trusted or understood."""
    for source in decide(home).sources:
        if source.reason:
            name = {CHOICE: "choice", POLICY: "policy"}.get(source.name, source.name)
            yield Finding(name, WRONG, f"counts as off: {source.reason}", remedy_for_source(home, source))


def remedy_for_source(home: Home, source: Source) -> str:
    """What to do about a source of the mode that counts as off although its text is not `off`."""
    if source.name == POLICY:
        text = f"ask your administrator to write on, local or off to {home.policy_mode}, readable by all users"
        return f"{text} and owned by the administrators" if sys.platform == "win32" else text
    if source.name in SWITCHES:
        return f"set {source.name} to on, local or off, or unset it"
    source_home = home if source.name == CHOICE else home.default or home
    again = "run deepchecks telemetry enable, local or disable"
    if source_home.config not in str(source.reason):  # the file can be read, but its content is not a mode
        there = without_variables("deepchecks telemetry enable")
        return again if source_home is home else f"run {there} (or local, or disable)"
    return (
        f"make sure that you own it, run chmod 700 {source_home.config} and chmod 600 {source_home.mode}, then {again}"
    )


def _no_spool(home: Home) -> Finding:
    """Whether a first record would succeed, tried in a temporary directory."""
    if decide(home).mode == OFF:
        return Finding("spool", OK, "none, because telemetry is off")
    try:
        try_first_record(home)
    except (SpoolError, OSError) as error:
        remedy = "set DEEPCHECKS_TELEMETRY_DIR to a directory of your own, on a local disk"
        return Finding("spool", WRONG, f"none, and it cannot be created: {error}", remedy)
    return Finding("spool", OK, "none yet; the first event creates it")


def _hard_link(home: Home) -> Iterator[Finding]:
    try:
        if is_hard_linked_database(home.spool) or find_set_aside(home):
            separate(home, LOCK_S)
            text = "a backup had hard-linked the spool; it was moved to a file of its own, and the backup is unchanged"
            yield Finding("hard link", WARNING, text)
    except (SpoolError, OSError) as error:
        text = f"the spool has a second hard link, so nothing is recorded: {error}"
        yield Finding("hard link", WRONG, text, "run this again in a moment")


def _files(home: Home) -> Iterator[Finding]:
    names = os.listdir(home.state)
    if sys.platform != "win32":
        accessible = [name for name in names if stat.S_IMODE(os.lstat(os.path.join(home.state, name)).st_mode) & 0o077]
        if accessible:
            yield Finding(
                "permissions", WRONG, f"accessible to other users: {', '.join(accessible)}", f"chmod 600 {home.state}/*"
            )
        else:
            yield Finding("permissions", OK, "0600")
    planted = [name for name in names if not is_lockable(os.path.join(home.state, name))]
    if planted:
        remedy = "remove them by hand, or run deepchecks telemetry disable, which removes them too"
        yield Finding(
            "unexpected files", WRONG, f"links, special files or files of other users: {', '.join(planted)}", remedy
        )
    copies = [os.path.basename(copy) for copy in quarantined(home)]
    if copies:
        remedy = "run deepchecks telemetry inspect: each command that reads the spool recovers what is readable"
        yield Finding("damaged copies", WARNING, f"{len(copies)} quarantined", remedy)
    if replaced := find_replaced(home):
        remedy = "end the programs that have them open; the next command recovers what is readable"
        yield Finding("replaced spools", WARNING, f"{len(replaced)} damaged, and still open in a program", remedy)
    if "spool.db.unreadable" in names:
        yield Finding(
            "unreadable file",
            WARNING,
            "spool.db.unreadable is quarantined; nothing could be recovered from it",
            "remove it by hand",
        )
    spools = [os.path.basename(spool) + suffix for spool in home.spools for suffix in ("", *SIDE_SUFFIXES, REPLACED)]
    ours = {*OUR_FILES, *spools}
    strays = [
        name for name in names if name not in ours and not name.startswith(("spool.db.damaged-", "spool.db.unre"))
    ]
    if strays:
        yield Finding("leftover files", WARNING, f"{len(strays)} unknown or incomplete", "remove them by hand")


def _file_system(home: Home) -> Finding:
    if is_remote(home.state):
        return Finding(
            "file system", WARNING, "a network file system, so every access takes the file lock and is slower"
        )
    return Finding("file system", OK, "local")


def _lock(home: Home) -> Finding:
    try:
        with hold(home.lock, LOCK_S):
            return Finding("lock", OK, "works")
    except SpoolError as error:
        return Finding("lock", WRONG, str(error), "set DEEPCHECKS_TELEMETRY_DIR to a directory where file locks work")


def _content(home: Home, now: float) -> Iterator[Finding]:
    if not os.path.lexists(home.spool):
        yield _no_spool(home)
        return
    try:
        with opened(home) as connection:
            yield from _integrity(connection)
            yield from _conservation(connection, now)
            yield _version(connection)
    except Outdated as error:
        yield Finding("version", WRONG, str(error), "pip install --upgrade deepchecks-telemetry")
    except Damaged as error:
        yield Finding(
            "integrity", WRONG, f"{error}; it was quarantined", "deepchecks telemetry inspect recovers what is readable"
        )
    except (SpoolError, OSError) as error:
        yield Finding("spool", WRONG, str(error), "check the directory's owner, permissions and free space")
    yield _wal(home)


def _integrity(connection: sqlite3.Connection) -> Iterator[Finding]:
    problems = [line for (line,) in connection.execute("PRAGMA integrity_check(3)")]
    if problems == ["ok"]:
        yield Finding("integrity", OK, "SQLite finds no errors")
    else:
        yield Finding("integrity", WRONG, f"SQLite finds {len(problems)} or more errors", START_EMPTY)


def _conservation(connection: sqlite3.Connection, now: float) -> Iterator[Finding]:
    accounts = query_accounts(connection)
    if accounts.balance:
        difference = (
            f"{accounts.balance} are unaccounted for"
            if accounts.balance > 0
            else f"{-accounts.balance} more are stored"
        )
        yield Finding("conservation", WRONG, f"{accounts.recorded} recorded, but {difference}", START_EMPTY)
    else:
        yield Finding("conservation", OK, f"all {accounts.recorded} recorded events are accounted for")
    if accounts.dropped:
        yield Finding(
            "dropped", WARNING, explain_dropped(accounts.dropped), SETTLE if "unsettled" in accounts.dropped else None
        )
    (latest,) = connection.execute(
        "SELECT max(day) FROM (SELECT day FROM events UNION SELECT day FROM folded)"
    ).fetchone()
    if isinstance(latest, int) and latest > now // 86_400 + 1:
        yield Finding("clock", WARNING, "some events are dated in the future, because the clock was ahead")


def _version(connection: sqlite3.Connection) -> Finding:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    later = " (migrated at the next flush)" if version < SCHEMA_VERSION else ""
    return Finding("version", OK, f"schema {version}{later}")


def _wal(home: Home) -> Finding:
    status = status_of(home.spool + "-wal")
    size = status.st_size if status else 0
    if size > MAX_WAL_BYTES:
        return Finding(
            "wal", WARNING, f"{size} bytes", "close programs that read the spool; the next flush truncates it"
        )
    return Finding("wal", OK, f"{size} bytes not yet checkpointed" if size else "empty")


def _sqlite() -> Finding:
    first, last = RESET_BUG
    if first <= sqlite3.sqlite_version_info <= last:
        text = f"SQLite {sqlite3.sqlite_version} has a known WAL bug (3.7.0 to 3.51.2) that we avoid; no action needed"
        return Finding("sqlite", WARNING, text)
    return Finding("sqlite", OK, f"SQLite {sqlite3.sqlite_version}")
