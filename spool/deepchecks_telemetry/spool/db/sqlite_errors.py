"""Translates SQLite's errors into the spool's own: `Busy`, `Damaged`, `Unusable`."""

import sqlite3

from deepchecks_telemetry.spool.errors import Busy, Damaged, Unusable

FAULTS = (sqlite3.Error, UnicodeDecodeError)  # the latter if SQLite's own message quotes a broken schema
BROKEN = (
    *("malformed", "not a database", "no such table", "no such column", "could not decode", "codec can't decode"),
    "interrupted",  # by limit_vm_steps()
)
# A page is missing, short or unreadable, or the file system is broken: sqlite.org/rescode.html
IOERR_READ, IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS = 266, 522, 8202, 8458
UNREADABLE = (IOERR_READ, IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS)


def translate(error: Exception) -> Busy | Damaged | Unusable:
    """The spool's error for one of SQLite's; it only names the class, because SQLite's text can contain a path."""
    text = str(error).lower()
    if is_busy(error):
        return Busy("the spool is locked by another process")
    # The class itself is raised if the file is corrupt or not a database.
    corrupt = type(error) is sqlite3.DatabaseError
    # Before Python 3.11 "disk I/O error" has no code, and a full disk raises it too, so there it never counts as
    # damage. Otherwise a failed write would quarantine a healthy spool.
    unreadable = getattr(error, "sqlite_errorcode", 0) in UNREADABLE
    if corrupt or any(sign in text for sign in BROKEN) or unreadable:
        return Damaged("the spool file is damaged or not a spool")
    return Unusable(f"the spool cannot be used ({type(error).__name__})")


def is_busy(error: Exception) -> bool:
    """Whether another connection's lock is the cause (`sqlite_errorcode` is missing before Python 3.11)."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged, or is not a spool."""
    return isinstance(translate(error) if isinstance(error, FAULTS) else error, Damaged)
