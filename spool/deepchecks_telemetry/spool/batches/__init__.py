"""Seals counts into batches, and keeps the state of each batch until it is settled.

queue         what is pending, sealed, parked and exported; when it may be tried
seal          counts become rows with uids, and the bytes of a request
ledger        `mark_attempt`, `settle`
exports       `register_export`, `mark_exported`, the limit of unsettled exports
export_files  the list of exported files, for `disable`
"""
