"""Batches: sealed from counts, tried, settled, exported."""
