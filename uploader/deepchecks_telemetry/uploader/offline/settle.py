"""Settling, back home: a receipt is booked, each batch once, whatever was carried, settled or flushed before."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, batches, settle
from deepchecks_telemetry.spool.consent.decision import OFF, decide
from deepchecks_telemetry.spool.db.schema import FINAL, BatchState
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.errors import NotAllowed
from deepchecks_telemetry.uploader.offline.receipt import Entry
from deepchecks_telemetry.uploader.plan.text import change_mode
from deepchecks_telemetry.uploader.wire.outcome import REJECTED


@dataclass(frozen=True, slots=True)
class Settled:
    """One entry of a receipt: the batch of ours that it means (None: of nobody here), and whether it was news."""

    entry: Entry
    batch: Batch | None
    news: bool


def settle_receipt(home: Home, entries: Sequence[Entry]) -> list[Settled]:
    """Book a receipt's entries; a batch that was settled before, or is none of ours, changes nothing."""
    decision = decide(home)
    if decision.mode == OFF:
        raise NotAllowed(f"telemetry is off, decided by {decision.decided_by}", change_mode(decision.decided_by))
    ours = {batch.sha256: batch for batch in _ledger(home)}
    return [_settle(home, entry, ours.get(entry.sha256)) for entry in entries]


def _ledger(home: Home) -> list[Batch]:
    try:
        return batches(home)
    except FileNotFoundError:
        return []


def _settle(home: Home, entry: Entry, batch: Batch | None) -> Settled:
    if batch is None or batch.state in FINAL:
        return Settled(entry, batch, news=False)
    refused = batch.rows if entry.outcome == REJECTED else entry.rejected_rows
    found = Disposition(BatchState(entry.outcome), "settled from a receipt", refused)
    return Settled(entry, batch, news=settle(home, batch, found, reschedule=False))
