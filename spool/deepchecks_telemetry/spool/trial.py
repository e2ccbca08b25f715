"""What a first record would meet, found out by doing it: a spool is made in a directory beside, and removed again."""

import os

from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.create import create
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.directory import check_above, check_state_dir
from deepchecks_telemetry.spool.files.paths import Home

# SQLite's MAX_PATHNAME on POSIX, less what it appends to the temporary name under which a spool is made.
LONGEST_PATH = 512 - len(".new-journal")
LOCK_S = 2.0


def try_first_record(home: Home) -> None:
    """Make, lock, open and remove a spool where `home` has none; raises what a host would meet."""
    import shutil
    import tempfile

    length = len(os.fsencode(home.spool))
    if os.name == "posix" and length > LONGEST_PATH:
        raise Unusable(f"the path {home.spool} has {length} bytes, but SQLite accepts at most {LONGEST_PATH}")
    above = _nearest(home.state)
    check_state_dir(home) if above == home.state else check_above(above)
    directory = tempfile.mkdtemp(prefix=".trial-", dir=above)
    try:
        os.chmod(directory, 0o700)
        trial = Home(os.path.join(directory, "s"), os.path.join(directory, "c"), home.policy)
        if len(os.fsencode(trial.spool)) <= LONGEST_PATH:  # it can be longer than the path that is asked for
            _make(trial)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _make(trial: Home) -> None:
    create(trial, LOCK_S)
    with opened(trial):
        pass


def _nearest(path: str) -> str:
    """The directory itself, or the nearest above it that there is."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
