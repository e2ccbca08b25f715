"""A library with the names of the real deepchecks that are attached to, and nothing behind them: it imports at once."""
