"""Whether this process may record and send: the most restrictive source wins, and one that is unreadable means off.

Reading the sources and deciding are apart: `resolve` is one pure function.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool.consent.resource import is_test_run
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.directory import ROOT, tighten, untrusted_reason
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain

ON, LOCAL, OFF = "on", "local", "off"
MODES = (ON, LOCAL, OFF)  # from the most open to the most restrictive
MAX_MODE_BYTES = 64  # bytes of a file that holds one word
MAX_SHOWN = 20  # characters of a value that is not a mode

MODE_VARIABLE = "DEEPCHECKS_TELEMETRY"
# deepchecks 0.19.1 reads these two itself: any text in them, "0" and "false" too, is true to it.
LIBRARY_SWITCHES = ("DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "DISABLE_LATEST_VERSION_CHECK")
SWITCHES = (MODE_VARIABLE, "DO_NOT_TRACK", *LIBRARY_SWITCHES)

POLICY, CHOICE, DEFAULT_CHOICE, FENCE, DEFAULT, TEST_RUN = (
    "the administrator's policy",
    "your choice",
    "your choice in the default directory",
    "an earlier disable",
    "the default",
    "a test run",
)


class Source(NamedTuple):
    """One place that was asked, and its answer: a mode, or None where it has no opinion.

    `reason` says why an answer that is not a valid mode, or that cannot be read or trusted, counts as off.
    """

    name: str
    mode: str | None
    reason: str | None = None


class Decision(NamedTuple):
    """The mode in force, the name of the source that decided, and everything that was asked."""

    mode: str
    decided_by: str
    sources: tuple[Source, ...]

    @property
    def reason(self) -> str | None:
        """Why the source that decided counts as off although it does not say so; None where it does."""
        decisive = (source for source in self.sources if (source.name, source.mode) == (self.decided_by, self.mode))
        return next((source.reason for source in decisive), None)


def resolve(sources: Iterable[Source], *, test_run: bool = False) -> Decision:
    """`off` anywhere is off, else `local` anywhere is local; with no opinion at all, on (in a test run off)."""
    asked = tuple(sources)
    for mode in reversed(MODES):
        for source in asked:
            if source.mode == mode:
                return Decision(mode, source.name, asked)
    return Decision(OFF, TEST_RUN, asked) if test_run else Decision(ON, DEFAULT, asked)


def parse_mode(text: str) -> str:
    """The mode that a text names; anything else, a cut file too, means off."""
    word = text.strip().lower()
    return word if word in MODES else OFF


def parse_source(name: str, text: str) -> Source:
    """The same, with the reason where the text is not a valid mode; a full disk leaves an empty one of `off`."""
    mode, word = parse_mode(text), text.strip()
    understood = not word or word.lower() in MODES
    return Source(
        name, mode, None if understood else f"{word[:MAX_SHOWN]!r} is not a valid mode: expected on, local or off"
    )


def read_mode(path: str) -> str | None:
    """The mode in a file, None where there is none, off where it cannot be read."""
    return read_source("", path).mode


def read_source(name: str, path: str) -> Source:
    """What a file says: no opinion where there is none, off with the reason where it cannot be read."""
    try:
        return parse_source(name, read_plain(path, MAX_MODE_BYTES).decode("ascii", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):  # a choice was made, and what it is cannot be read
            return Source(name, OFF, f"{path} is a broken link")
        return Source(name, None)
    except OSError as error:
        raise_if_hosts(error)
        return Source(name, OFF, f"{path} cannot be read: {error.strerror}")


def read_choice(home: Home, name: str = CHOICE) -> Source:
    """What the user chose; off where another user could have written it, because `on` would send to whom they say."""
    try:
        found = tighten(home.config, os.stat(home.config))
        reason = untrusted_reason(found, ROOT) or _planted_reason(home.mode, found)
    except OSError as error:
        raise_if_hosts(error)
        reason = None  # there is no directory, or the file cannot be read either
    return Source(name, OFF, f"{home.config} {reason}") if reason else read_source(name, home.mode)


def _planted_reason(path: str, directory: os.stat_result) -> str | None:
    """What is wrong with the file itself, which may have come into the directory before it was this user's alone."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise_if_hosts(error)
        return None
    if sys.platform != "win32" and found.st_mode & 0o002 and directory.st_mode & 0o001:
        return "contains a mode file that is writable by other users"
    return "contains a mode file that belongs to another user" if untrusted_reason(found, ROOT, writable=True) else None


def read_default_choice(home: Home) -> list[Source]:
    """The choice in the user's default directories, where a variable names others: `on` there decides nothing here."""
    if home.default is None:
        return []
    source = read_choice(home.default, DEFAULT_CHOICE)
    return [source if source.mode != ON else source._replace(mode=None)]


def read_environ(environ: Mapping[str, str]) -> list[Source]:
    """What the environment says; an empty variable is as good as none."""
    mode = environ.get(MODE_VARIABLE)
    untracked = environ.get("DO_NOT_TRACK", "").strip().lower() not in {"", "0", "false", "no"}
    return [
        parse_source(MODE_VARIABLE, mode) if mode else Source(MODE_VARIABLE, None),
        Source("DO_NOT_TRACK", OFF if untracked else None),
        *(Source(name, OFF if environ.get(name) else None) for name in LIBRARY_SWITCHES),
    ]


def decide(
    home: Home, environ: Mapping[str, str] = os.environ, *, closed: Callable[[], bool] = lambda: False
) -> Decision:
    """The decision for this process now; `closed` says whether the spool's own fence is closed.

    The fence counts only where the user's choice is gone: after a `disable`, a deleted file is no change of mind.
    """
    choice = read_choice(home)
    fence = OFF if choice.mode is None and closed() else None
    sources = [read_source(POLICY, home.policy_mode), *read_environ(environ), choice, *read_default_choice(home)]
    return resolve([*sources, Source(FENCE, fence)], test_run=is_test_run(environ, sys.modules))
