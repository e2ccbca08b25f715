"""One adapter for each peer: how it is set up, how it records one event, and what its documentation says to do at the end.

An adapter is loaded in two places: in a process of the peer's environment, whose start is measured, and in the measuring
process, which has no peer installed. So an adapter imports nothing at its top, and its peer in `setup`.
"""

NAMED = rb"benchmark-%b-\d{4}e"


class Adapter:
    """What all have in common; a peer's own module overrides what differs."""

    NAME = ""  # in the tables
    DISTRIBUTION = ""  # whose version the tables name
    ENVIRON: dict[str, str] = {}  # of its process; {url} and {folder} are filled in
    OPT_OUT: dict[str, str] = {}  # the variables by which a person opts out
    MEASURES: tuple[str, ...] = ("first", "record", "whole", "left", "facts")
    IN_MEMORY = False  # whether a recorded event waits in the memory of its process
    SENDS = True  # else it only keeps

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
        """What the documentation asks a program to do at its end."""

    def resend(self) -> None:
        """What a later process does so that what waits is sent."""
        self.finish()

    def stored(self, folder: str) -> int:  # noqa: ARG002
        """How many events its store holds, asked by a new process; without a store none."""
        return 0

    def arrived(self, requests: list[bytes], tag: str) -> int:
        """How many events with this tag the requests carried, each counted once."""
        import re

        return len({name for request in requests for name in re.findall(NAMED % tag.encode(), request)})

    def answer(self, path: str, url: str) -> bytes:  # noqa: ARG002
        """What its server would answer."""
        return b"{}"

    def prepare(self, folder: str) -> None:
        """Before each whole process."""


def can_opt_out(peer: Adapter) -> bool:
    """Whether it documents a way to opt out of it."""
    return bool(peer.OPT_OUT) or type(peer).opt_out is not Adapter.opt_out
