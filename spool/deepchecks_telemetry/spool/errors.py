"""What can go wrong in the spool, one class for each thing a caller would do differently.

SpoolError
├── Unusable    the folder, the file or its lock cannot be used; the message says why
├── Busy        somebody else held a lock for longer than we were ready to wait
├── Damaged     the file is no spool of ours, or a broken one
└── Outdated    the spool was written by a version that this one cannot read
"""


class SpoolError(Exception):
    """Base of the room; its text is one sentence for a person: what happened."""


class Unusable(SpoolError):
    """The folder, the file or its lock cannot be used."""


class Busy(SpoolError):
    """A lock was held by somebody else for longer than we wait."""


class Damaged(SpoolError):
    """The file is no spool, or a broken one."""


class Outdated(SpoolError):
    """The spool was written by a newer version than this one."""
