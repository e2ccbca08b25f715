"""SQLite's errors as the spool's own: busy, damaged, unusable."""

import sqlite3

from deepchecks_telemetry.spool.errors import Busy, Damaged, Unusable

FAULTS = (sqlite3.Error, UnicodeDecodeError)  # the latter where SQLite's own message quotes a broken schema
BROKEN = (
    *("malformed", "not a database", "no such table", "no such column", "could not decode", "codec can't decode"),
    "interrupted",  # by limit_vm_steps()
)
# A page that is missing, short or cannot be read, and a broken file system: sqlite.org/rescode.html
IOERR_READ, IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS = 266, 522, 8202, 8458
UNREADABLE = (IOERR_READ, IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS)


def translate(error: Exception) -> Busy | Damaged | Unusable:
    """The spool's error for one of SQLite's; its text names the class only, because SQLite's can hold a path."""
    text = str(error).lower()
    if is_busy(error):
        return Busy("the spool is locked by another process")
    corrupt = type(error) is sqlite3.DatabaseError  # itself, none of its kinds: the file is corrupt or no database
    if corrupt or any(sign in text for sign in BROKEN) or _is_unreadable(error):
        return Damaged("the spool file is damaged or not a spool")
    return Unusable(f"the spool cannot be used ({type(error).__name__})")


def is_busy(error: Exception) -> bool:
    """Whether another connection's lock is the reason (`sqlite_errorcode` is missing before Python 3.11)."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is broken, or is not a spool."""
    return isinstance(translate(error) if isinstance(error, FAULTS) else error, Damaged)


def _is_unreadable(error: Exception) -> bool:
    """Whether a page cannot be read.

    Before Python 3.11 "disk I/O error" has no code, and a full disk says it too: there it never counts as damage,
    or a write that failed would put a healthy spool aside.
    """
    return getattr(error, "sqlite_errorcode", 0) in UNREADABLE
