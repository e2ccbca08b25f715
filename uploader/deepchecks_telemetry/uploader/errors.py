"""What can go wrong in the uploader before a request is made; an answer, whatever it is, is a value.

UploadError
├── BadEndpoint   the text is not a valid endpoint
├── BadFile       a courier's file or a receipt is not what we wrote
├── CannotWrite   a file outside our own folders cannot be written
└── NotAllowed    nothing may be sent now
"""


class UploadError(Exception):
    """Base of the package's errors; its text is one sentence for a person: what happened."""


class BadEndpoint(UploadError):
    """The text is not a valid endpoint; `source` is what set it, where that is known."""

    def __init__(self, problem: str, source: str | None = None) -> None:
        super().__init__(f"{problem} (set by {source})" if source else problem)
        self.problem = problem
        self.source = source


class BadFile(UploadError):
    """A courier's file or a receipt is not what we wrote; the text says in what."""


class CannotWrite(UploadError):
    """A file outside our own folders cannot be written; the text says which and why."""


class NotAllowed(UploadError):
    """Nothing may be sent now; the text says why, and `remedy` what to do."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy
