"""The exceptions of the collector; `CollectorError` is the base of all.

CollectorError
├── LoadError       an exported file cannot be read
├── ReportError     no report can be made with these options
├── RequestError    a request is answered with an HTTP status and stores nothing
├── StartError      the server cannot start
└── StoreError      the store cannot be opened, read or written
"""


class CollectorError(Exception):
    """Base of the package's errors; its text says what happened and what to do."""


class LoadError(CollectorError):
    """An exported file cannot be read."""


class ReportError(CollectorError):
    """No report can be made with these options."""


class RequestError(CollectorError):
    """A request that stores nothing; `status` is the HTTP status of the response, the text its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class StartError(CollectorError):
    """The server cannot start."""


class StoreError(CollectorError):
    """The store cannot be opened, read or written."""
