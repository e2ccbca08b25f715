"""One adapter for each peer: its setup, how it records an event, and what its documentation says to do at the end.

An adapter is imported in a process of the peer's environment, whose start is measured, and in the measuring process,
which does not have the peer. So it imports its peer in `setup`, and nothing at the top.
"""

# ruff: noqa: ARG002 - not every peer needs every argument

NAMED = rb"benchmark-[a-z]+-\d{4}e"  # each event of a test has a unique name


class Adapter:
    """The defaults of all peers; the module of a peer overrides what differs."""

    NAME = ""  # in the tables
    DISTRIBUTION = ""  # whose version the tables name
    OPT_OUT = ""  # the variable by which a person opts out: NAME=value
    OUTSIDE = ""  # what it writes into its own environment, as a pattern of paths
    MEASURES: tuple[str, ...] = ("first", "record", "whole", "left", "facts")
    SENDS = True  # False: it only stores

    def environ(self, url: str, folder: str) -> dict[str, str]:
        """The variables of its process."""
        return {}

    def setup(self, url: str, folder: str) -> None:
        """Import the peer and configure it to send to `url` and to store below `folder`."""
        raise NotImplementedError

    def opt_out(self, url: str, folder: str) -> None:
        """`setup` for a user who has opted out, if the peer has no variable for that."""
        self.setup(url, folder)

    def record(self, event: str) -> None:
        """Record one event with this name."""
        raise NotImplementedError

    def finish(self) -> None:
        """What the documentation says a program must do at its end, unless its own `atexit` does it."""

    def drain(self) -> None:
        """What a program may do at its end so that nothing of a long queue is lost."""
        self.finish()

    def resend(self) -> None:
        """What a later process does to send pending events."""
        self.finish()

    def stored(self, folder: str) -> int:
        """The number of events in its store, read in a new process; 0 without a store."""
        return 0

    def arrived(self, requests: list[bytes]) -> int:
        """The number of different events in the requests."""
        import re

        return len({name for request in requests for name in re.findall(NAMED, request)})

    def answer(self, path: str, url: str) -> bytes:
        """The response of its server."""
        return b"{}"

    def prepare(self, folder: str) -> None:
        """Called before each whole process."""
