"""Carries batches in files: export, delivery from a connected machine, settlement from the receipt.

export    writes batches to files
bundle    reads and checks these files
deliver   sends them from a connected machine, with its own ledger
receipt   reads and writes receipts
settle    marks batches as delivered or rejected from a receipt
"""
