"""Gives NumPy 2 the names that deepchecks 0.19.1 asks NumPy for: Python 3.13 has no older NumPy."""

import numpy as np

for old, value in {"Inf": "inf", "NINF": "-inf", "NaN": "nan"}.items():
    if not hasattr(np, old):
        setattr(np, old, float(value))
