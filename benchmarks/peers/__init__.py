"""One adapter for each peer: how it is set up, how it records an event, what its documentation says to do at the end.

An adapter is loaded in two places: in a process of the peer's environment, whose start is measured, and in the
measuring process, which has no peer. So an adapter imports nothing at its top, and its peer in `setup`.
"""

# ruff: noqa: ARG002 - a peer that has no use for an argument leaves it

NAMED = rb"benchmark-[a-z]+-\d{4}e"  # each event of a test has a name of its own


class Adapter:
    """What all have in common; a peer's own module overrides what differs."""

    NAME = ""  # in the tables
    DISTRIBUTION = ""  # whose version the tables name
    OPT_OUT = ""  # the variable by which a person opts out: NAME=value
    OUTSIDE = ""  # what it writes into its own environment, as a pattern of paths
    MEASURES: tuple[str, ...] = ("first", "record", "whole", "left", "facts")
    SENDS = True  # else it only keeps

    def environ(self, url: str, folder: str) -> dict[str, str]:
        """Variables of its process."""
        return {}

    def setup(self, url: str, folder: str) -> None:
        """Import the peer, point it at `url`, and let it keep under `folder` what it keeps."""
        raise NotImplementedError

    def opt_out(self, url: str, folder: str) -> None:
        """`setup` of one who has opted out, where that is no variable."""
        self.setup(url, folder)

    def record(self, event: str) -> None:
        """One event with this name."""
        raise NotImplementedError

    def finish(self) -> None:
        """What the documentation asks a program to do at its end, where its own `atexit` does not do it."""

    def drain(self) -> None:
        """What a program may do so that nothing of a long queue is lost at its end."""
        self.finish()

    def resend(self) -> None:
        """What a later process does so that what waits is sent."""
        self.finish()

    def stored(self, folder: str) -> int:
        """How many events its store holds, asked by a new process; without a store none."""
        return 0

    def arrived(self, requests: list[bytes]) -> int:
        """How many events the requests carried, each counted once."""
        import re

        return len({name for request in requests for name in re.findall(NAMED, request)})

    def answer(self, path: str, url: str) -> bytes:
        """What its server would answer."""
        return b"{}"

    def prepare(self, folder: str) -> None:
        """Before each whole process."""
