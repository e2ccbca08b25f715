"""Every error of this room, so that a caller can catch one name.

CollectorError
├── LoadError       a courier file cannot be read
├── RequestError    a request is answered with an HTTP status and stores nothing
├── StartError      the server cannot start
└── StoreError      the store cannot be opened, read or written
"""


class CollectorError(Exception):
    """The one base of this room's errors; its text says what happened and what to do."""


class LoadError(CollectorError):
    """A courier file cannot be read."""


class RequestError(CollectorError):
    """A request that stores nothing: `status` answers it, the text tells its sender why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class StartError(CollectorError):
    """The server cannot start."""


class StoreError(CollectorError):
    """The store cannot be opened, read or written."""
