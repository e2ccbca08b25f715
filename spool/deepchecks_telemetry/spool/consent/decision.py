"""Decides whether this process may record and send: the most restrictive source wins; an unreadable one means off.

Reading the sources is separate from deciding: `resolve` is a pure function.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping

from deepchecks_telemetry.spool.consent.resource import is_test_run
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files import windows
from deepchecks_telemetry.spool.files.directory import ROOT, tighten, untrusted_reason
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain, status_of

ON, LOCAL, OFF = "on", "local", "off"
MODES = (ON, LOCAL, OFF)  # from the most open to the most restrictive
MAX_MODE_BYTES = 64  # of a file that contains one word
MAX_SHOWN = 20  # characters of an invalid mode

MODE_VARIABLE = "DEEPCHECKS_TELEMETRY"
# deepchecks 0.19.1 reads these two itself, and takes any text in them as true, also "0" and "false".
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


class Source:
    """A source of the mode and its value, None if it is not set.

    `reason` says why a value that is not a valid mode, or that cannot be read or trusted, counts as off.
    """

    def __init__(self, name: str, mode: str | None, reason: str | None = None) -> None:
        self.name, self.mode, self.reason = name, mode, reason


class Decision:
    """The mode in force, the name of the source that decided, and all sources."""

    def __init__(self, mode: str, decided_by: str, sources: tuple[Source, ...]) -> None:
        self.mode, self.decided_by, self.sources = mode, decided_by, sources

    @property
    def reason(self) -> str | None:
        """Why the source that decided counts as off although its text is not `off`; None if it is."""
        decisive = (source for source in self.sources if (source.name, source.mode) == (self.decided_by, self.mode))
        return next((source.reason for source in decisive), None)


def resolve(sources: Iterable[Source], *, test_run: bool = False) -> Decision:
    """`off` if any source is off, else `local` if any is local; if none is set, `on` (`off` in a test run)."""
    all_sources = tuple(sources)
    for mode in reversed(MODES):
        for source in all_sources:
            if source.mode == mode:
                return Decision(mode, source.name, all_sources)
    return Decision(OFF, TEST_RUN, all_sources) if test_run else Decision(ON, DEFAULT, all_sources)


def parse_source(name: str, text: str) -> Source:
    """The source with that text, which is off, with a reason, if the text is not a mode.

    The empty text, of the file that `disable` leaves on a full disk, is off without a reason.
    """
    word = text.strip()
    if not word or word.lower() in MODES:
        return Source(name, word.lower() or OFF)
    return Source(name, OFF, f"{word[:MAX_SHOWN]!r} is not a valid mode: expected on, local or off")


def read_source(name: str, path: str) -> Source:
    """The source that a file is: not set if there is no file, off with the reason if it cannot be read."""
    try:
        return parse_source(name, read_plain(path, MAX_MODE_BYTES).decode("ascii", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):  # a choice was made, but it cannot be read
            return Source(name, OFF, f"{path} is a broken link")
        return Source(name, None)
    except OSError as error:
        raise_if_hosts(error)
        return Source(name, OFF, f"{path} cannot be read: {error.strerror}")


def read_policy(home: Home) -> Source:
    """The administrator's mode; off if somebody else could have written it."""
    source = read_source(POLICY, home.policy_mode)
    if source.mode is None or windows.is_administrators(home.policy_mode):
        return source
    return Source(POLICY, OFF, f"{home.policy_mode} does not belong to the administrators of this machine")


def read_choice(home: Home, name: str = CHOICE) -> Source:
    """The user's choice; off if another user could have written it, because they could also have set an endpoint."""
    try:
        status = tighten(home.config, os.stat(home.config))
        reason = untrusted_reason(status, ROOT) or _untrusted_file_reason(home.mode, status)
    except OSError as error:
        raise_if_hosts(error)
        reason = None  # there is no directory, or reading the file will fail as well
    return Source(name, OFF, f"{home.config} {reason}") if reason else read_source(name, home.mode)


def _untrusted_file_reason(path: str, directory: os.stat_result) -> str | None:
    """Why the file itself is not trusted; it may have been created before the directory was closed to other users."""
    status = status_of(path)
    if status is None:
        return None
    if sys.platform != "win32" and status.st_mode & 0o002 and directory.st_mode & 0o001:
        return "contains a mode file that is writable by other users"
    return (
        "contains a mode file that belongs to another user" if untrusted_reason(status, ROOT, writable=True) else None
    )


def read_default_choice(home: Home) -> list[Source]:
    """The choice in the default directories, if a variable names other ones; `on` in them counts as not set."""
    if home.default is None:
        return []
    source = read_choice(home.default, DEFAULT_CHOICE)
    return [source if source.mode != ON else Source(DEFAULT_CHOICE, None)]


def read_environ(environ: Mapping[str, str]) -> list[Source]:
    """The sources that are environment variables; an empty variable counts as not set."""
    mode = environ.get(MODE_VARIABLE)
    do_not_track = environ.get("DO_NOT_TRACK", "").strip().lower() not in {"", "0", "false", "no"}
    return [
        parse_source(MODE_VARIABLE, mode) if mode else Source(MODE_VARIABLE, None),
        Source("DO_NOT_TRACK", OFF if do_not_track else None),
        *(Source(name, OFF if environ.get(name) else None) for name in LIBRARY_SWITCHES),
    ]


def decide(
    home: Home, environ: Mapping[str, str] = os.environ, *, closed: Callable[[], bool] = lambda: False
) -> Decision:
    """The decision for this process now; `closed` returns whether the spool's fence is closed.

    The fence only counts if the user's choice is missing: deleting its file does not undo a `disable`.
    """
    choice = read_choice(home)
    fence = OFF if choice.mode is None and closed() else None
    sources = [read_policy(home), *read_environ(environ), choice, *read_default_choice(home)]
    return resolve([*sources, Source(FENCE, fence)], test_run=is_test_run(environ, sys.modules))
