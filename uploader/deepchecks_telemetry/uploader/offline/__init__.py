"""Batches carried in files: export, deliver on a connected machine, settle from the receipt."""
