"""The spool: what an event is, whether it may be recorded, and where it waits.

A map of the room, in the order in which an event goes through it:

catalogue     everything that may ever be recorded         consent   whether it may be, as one pure function
environment   where this process runs                      paths     every path of ours
recording     the one call of the host program             writer    the hot path behind it
schema        the file and its settings                    fold      raw events become counts; the WAL is cut
sealing       counts become a batch with uids              ledger    what became of a batch
accounts      the books, for a reader                      erasing   `disable`: nothing is left
exports       which files hold batches                     health    what `doctor` asks
quarantine    a damaged spool is put aside                 salvage   and what could be saved comes back
upkeep        migrated and mended before it is read        kept      connections that are never closed
plain         only a plain file is one of ours             shape     a schema that can do nothing
patience      waiting for a lock of SQLite's               transaction   all of a write, or none of it
tuples        with names, without typing's import

`record` alone is loaded with the room; the other names are loaded when they are first asked for, so that the host
program pays for none of them.
"""

from deepchecks_telemetry.spool.recording import record
from deepchecks_telemetry.spool.tuples import TYPE_CHECKING

if TYPE_CHECKING:
    from deepchecks_telemetry.spool.accounts import Accounts, Waiting, read_accounts, read_waiting
    from deepchecks_telemetry.spool.choice import choose
    from deepchecks_telemetry.spool.consent import Decision, Source, decide
    from deepchecks_telemetry.spool.erasing import Erased, erase, find_residue
    from deepchecks_telemetry.spool.errors import Busy, Damaged, Outdated, SpoolError, Unusable
    from deepchecks_telemetry.spool.ledger import Batch, Verdict, batches, begin, settle
    from deepchecks_telemetry.spool.paths import Home, find_home
    from deepchecks_telemetry.spool.sealing import Row, seal

_ROOMS = {
    "accounts": ("Accounts", "Waiting", "read_accounts", "read_waiting"),
    "choice": ("choose",),
    "consent": ("Decision", "Source", "decide"),
    "erasing": ("Erased", "erase", "find_residue"),
    "errors": ("Busy", "Damaged", "Outdated", "SpoolError", "Unusable"),
    "paths": ("Home", "find_home"),
    "sealing": ("Row", "seal"),
    "ledger": ("Batch", "Verdict", "batches", "begin", "settle"),
}
_WHERE = {name: module for module, names in _ROOMS.items() for name in names}

__all__ = [
    "Accounts",
    "Batch",
    "Busy",
    "Damaged",
    "Decision",
    "Erased",
    "Home",
    "Outdated",
    "Row",
    "Source",
    "SpoolError",
    "Unusable",
    "Verdict",
    "Waiting",
    "batches",
    "begin",
    "choose",
    "decide",
    "erase",
    "find_home",
    "find_residue",
    "read_accounts",
    "read_waiting",
    "record",
    "seal",
    "settle",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__(f"{__name__}.{_WHERE[name]}", fromlist=[name]), name)  # importlib would cost 0.5 ms
