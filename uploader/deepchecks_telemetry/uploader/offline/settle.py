"""Marks batches as delivered or rejected from a receipt, each batch once, also if it was settled or flushed before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, batches, settle
from deepchecks_telemetry.spool.consent.decision import LOCAL, ON
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.states import FINAL, BatchState
from deepchecks_telemetry.uploader.offline.receipt import Entry
from deepchecks_telemetry.uploader.plan.facts import check_mode
from deepchecks_telemetry.uploader.wire.outcome import REJECTED


@dataclass(frozen=True, slots=True)
class Settled:
    """One entry of a receipt, the batch with its digest (None if this spool has none), and whether it was changed."""

    entry: Entry
    batch: Batch | None
    changed: bool


def settle_receipt(
    home: Home, entries: Sequence[Entry], *, progress: Callable[[int], None] = lambda _: None
) -> list[Settled]:
    """Apply the entries of a receipt; one whose batch is settled already, or not in this spool, changes nothing.

    `progress` is called with 1 after each entry.
    """
    check_mode(home, ON, LOCAL)
    by_digest = {batch.sha256: batch for batch in batches(home)}
    results = []
    for entry in entries:
        results.append(_settle(home, entry, by_digest.get(entry.sha256)))
        progress(1)
    return results


def _settle(home: Home, entry: Entry, batch: Batch | None) -> Settled:
    if batch is None or batch.state in FINAL:
        return Settled(entry, batch, changed=False)
    rejected = batch.rows if entry.outcome == REJECTED else entry.rejected_rows
    disposition = Disposition(BatchState(entry.outcome), "settled from a receipt", rejected)
    return Settled(entry, batch, changed=settle(home, batch, disposition, reschedule=False))
