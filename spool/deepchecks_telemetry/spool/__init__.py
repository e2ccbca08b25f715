"""The spool: what an event is, whether it may be recorded, and where it is stored until it is sent.

`record` is the whole public interface of a host program. The modules, lowest layer first:

errors       the exceptions of this package
catalogue    every event, field and value that may ever be stored or sent

files/       paths, directories, file locks, atomic writes
consent/     on, local or off: the sources and the decision; what is known of the environment
db/          the SQLite file: schema, connections, waiting for locks, compaction
recording/   the append in the host program
recovery/    migrations, and what is saved of a damaged spool
batches/     sealing, the ledger of batches, exports

stats        where every recorded event is now, and whether the sums agree
choice       write the user's choice (on, local, off)
wipe         what `disable` does
doctor       what `doctor` checks in the spool
"""

from deepchecks_telemetry.spool.recording.record import record

__all__ = ["record"]
