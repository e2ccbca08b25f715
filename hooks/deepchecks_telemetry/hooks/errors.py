"""Every error that this room raises, and only at the command line: in a host, hooks never raise.

HooksError    a file of the environment could not be written or removed
"""


class HooksError(Exception):
    """Says what happened, then what to do about it."""
