"""Whether this process may record and send: the most private source wins, and a source that is unreadable means off.

Reading the sources and deciding are apart: `resolve` is one pure function.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool.consent.resource import is_test_run
from deepchecks_telemetry.spool.files.directory import ROOT, stranger
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain

ON, LOCAL, OFF = "on", "local", "off"
MODES = (ON, LOCAL, OFF)  # from the most open to the most private
LONGEST = 64  # bytes of a file that holds one word

MODE_VARIABLE = "DEEPCHECKS_TELEMETRY"
# deepchecks 0.19.1 reads these two itself: any text in them, "0" and "false" too, is true to it.
LIBRARY_SWITCHES = ("DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "DISABLE_LATEST_VERSION_CHECK")
SWITCHES = (MODE_VARIABLE, "DO_NOT_TRACK", *LIBRARY_SWITCHES)

POLICY, CHOICE, FENCE, DEFAULT, TEST_RUN = (
    "the administrator's policy",
    "your choice",
    "an earlier disable",
    "the default",
    "a test run",
)


class Source(NamedTuple):
    """One place that was asked, and its answer: a mode, or None where it has no opinion."""

    name: str
    mode: str | None


class Decision(NamedTuple):
    """The mode in force, the name of the source that decided, and everything that was asked."""

    mode: str
    decided_by: str
    sources: tuple[Source, ...]


def resolve(sources: Iterable[Source], *, test_run: bool = False) -> Decision:
    """`off` anywhere is off, else `local` anywhere is local; with no opinion at all, on (in a test run off)."""
    asked = tuple(sources)
    for mode in reversed(MODES):
        for source in asked:
            if source.mode == mode:
                return Decision(mode, source.name, asked)
    return Decision(OFF, TEST_RUN, asked) if test_run else Decision(ON, DEFAULT, asked)


def parse_mode(text: str) -> str:
    """The mode that a word names; whatever else stands there, a cut file too, means off."""
    word = text.strip().lower()
    return word if word in MODES else OFF


def read_mode(path: str) -> str | None:
    """The mode in a file, None where there is none, off where it cannot be read."""
    try:
        return parse_mode(read_plain(path, LONGEST).decode("ascii", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return OFF if os.path.islink(path) else None  # a choice was made, and what it is cannot be read
    except OSError:
        return OFF


def read_choice(home: Home) -> str | None:
    """The user's word; off where another user could have written it: `on` would send to whom they say."""
    try:
        told = stranger(os.stat(home.config), ROOT)
    except OSError:
        told = None  # none, or one that cannot be looked into either
    return OFF if told else read_mode(home.mode)


def read_environ(environ: Mapping[str, str]) -> list[Source]:
    """What the environment says; an empty variable is as good as none."""
    mode = environ.get(MODE_VARIABLE)
    untracked = environ.get("DO_NOT_TRACK", "").strip().lower() not in {"", "0", "false", "no"}
    return [
        Source(MODE_VARIABLE, parse_mode(mode) if mode else None),
        Source("DO_NOT_TRACK", OFF if untracked else None),
        *(Source(name, OFF if environ.get(name) else None) for name in LIBRARY_SWITCHES),
    ]


def decide(
    home: Home, environ: Mapping[str, str] = os.environ, *, closed: Callable[[], bool] = lambda: False
) -> Decision:
    """The decision for this process now; `closed` tells whether the spool's own fence is down.

    The fence speaks only where the user's choice is gone: after a `disable`, a deleted file is no change of mind.
    """
    choice = read_choice(home)
    fence = OFF if choice is None and closed() else None
    sources = [Source(POLICY, read_mode(home.policy_mode)), *read_environ(environ)]
    return resolve([*sources, Source(CHOICE, choice), Source(FENCE, fence)], test_run=is_test_run(environ, sys.modules))
