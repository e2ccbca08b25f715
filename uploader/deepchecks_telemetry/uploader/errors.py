"""What can go wrong in the uploader before a request is made; an answer, whatever it is, is a value and no error.

UploadError
├── BadEndpoint   the text is no endpoint that we would send to
├── BadFile       a courier's file or a receipt is not what we wrote
├── CannotWrite   a file outside our own folders cannot be written
└── NotAllowed    the mode, or a notice that was not given yet, forbids to send
"""


class UploadError(Exception):
    """Base of the room; its text is one sentence for a person: what happened."""


class BadEndpoint(UploadError):
    """The text is no endpoint that we would send to."""


class BadFile(UploadError):
    """A courier's file or a receipt is not what we wrote; the text says in what."""


class CannotWrite(UploadError):
    """A file outside our own folders cannot be written; the text says which and why."""


class NotAllowed(UploadError):
    """Nothing may be sent now; the text says who decided that."""
