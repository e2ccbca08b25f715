"""A package that is removed and imported again leaks nothing: one session per process, one set of fork hooks."""

import sys
from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.stats import read_accounts

Run = Callable[..., str]

RELOADS = """
import os, sys
from unittest import mock
def purge():
    for name in [name for name in sys.modules if name.startswith("deepchecks_telemetry")]: del sys.modules[name]
def descriptors(): return len(os.listdir("/dev/fd"))
from deepchecks_telemetry.spool import record as first
assert first("run-check")
before = descriptors()
for number in range(100):
    if number % 2:
        purge()
        from deepchecks_telemetry.spool import record
        assert record("run-check")
    else:
        with mock.patch.dict(sys.modules):
            purge()
            from deepchecks_telemetry.spool import record
            assert record("run-check")
    assert first("run-check")
print(descriptors() - before)
pid = os.fork()
if pid == 0: os._exit(not (record("run-suite") and first("run-suite")))
assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors and forks")
def test_a_hundred_copies_of_the_package_share_one_session(dirs: Home, run: Run) -> None:
    assert run(RELOADS) == "0\n"
    stats = read_accounts(dirs)
    assert (stats.pending, stats.balance) == (203, 0)
