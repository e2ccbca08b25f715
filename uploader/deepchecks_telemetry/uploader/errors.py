"""The exceptions of the uploader. A response or a failed request never raises: it is a value, `outcome.Response`.

UploadError
├── BadEndpoint   the text is not a valid endpoint
├── BadFile       an exported file or a receipt is not as it was written
├── CannotWrite   a file outside the spool's own directories cannot be written
└── NotAllowed    nothing may be sent now
"""


class UploadError(Exception):
    """Base of the package's errors; its text says in one clause what happened."""


class BadEndpoint(UploadError):
    """The text is not a valid endpoint; `source` is what set it, if that is known."""

    def __init__(self, problem: str, source: str | None = None) -> None:
        super().__init__(f"{problem} (set by {source})" if source else problem)
        self.problem = problem
        self.source = source


class BadFile(UploadError):
    """An exported file or a receipt is not as it was written; the text says what is wrong."""


class CannotWrite(UploadError):
    """A file outside the spool's own directories cannot be written; the text says which and why."""


class NotAllowed(UploadError):
    """Nothing may be sent now; the text says why, and `remedy` what to do."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy
