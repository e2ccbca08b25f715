"""Checks whether a first record would succeed, by creating a spool in a temporary directory and removing it again."""

import os

from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.create import create
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.directory import check_above, check_state_dir
from deepchecks_telemetry.spool.files.paths import Home

# SQLite's MAX_PATHNAME on POSIX, minus what it appends to the temporary name under which a spool is created.
MAX_PATH_BYTES = 512 - len(".new-journal")
LOCK_S = 2.0


def try_first_record(home: Home) -> None:
    """Create, lock, open and remove a spool in a temporary directory; raises the errors that a host would get."""
    import shutil
    import tempfile

    length = len(os.fsencode(home.spool))
    if os.name == "posix" and length > MAX_PATH_BYTES:
        raise Unusable(f"the path {home.spool} has {length} bytes, but SQLite accepts at most {MAX_PATH_BYTES}")
    existing = home.state
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    check_state_dir(home) if existing == home.state else check_above(existing)
    directory = tempfile.mkdtemp(prefix=".trial-", dir=existing)
    try:
        os.chmod(directory, 0o700)
        trial = Home(os.path.join(directory, "s"), os.path.join(directory, "c"), home.policy)
        if len(os.fsencode(trial.spool)) <= MAX_PATH_BYTES:  # the temporary path can be longer than the real one
            create(trial, LOCK_S)
            with opened(trial):
                pass
    finally:
        shutil.rmtree(directory, ignore_errors=True)
