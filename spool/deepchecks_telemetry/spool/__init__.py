"""Defines what an event is, decides whether it may be recorded, and stores it until it is sent.

`record` is the whole public interface of a host. The modules, lowest layer first:

errors      the exceptions, and which exceptions belong to the host
catalogue   every event, field and value that may be stored or sent
identity    what counts as a UUID
states      `BatchState`, the states of an event and of a batch
files/      paths, directories, file locks, atomic writes
consent/    the sources of the mode and the decision; the coarse values that describe the environment
db/         the SQLite file: schema, connections, waiting for locks, compaction
choice      writes the user's choice
recording/  the append in the host
recovery/   migrations, and recovery of damaged spools
batches/    sealing, the ledger of batches, exports
stats       the count of events in each state, and whether the sums agree
trial       whether a first record would succeed
wipe        what `disable` does
doctor      the checks of `doctor` on the spool
"""

from deepchecks_telemetry.spool.recording.record import record

__all__ = ["record"]
