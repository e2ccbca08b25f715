"""Hosts that import our modules more than once: deepchecks can be imported, and no descriptor is leaked."""

import pytest
from tests.campaigns.hosts.harness import Harness


@pytest.mark.parametrize("how", ["purge", "patch", "copies", "library", "record"])
def test_a_hundred_reloads_fail_nothing_and_leak_no_descriptor(harness: Harness, how: str) -> None:
    """deepchecks is imported 101 times, attached to by as many copies of us; a fork afterwards works too."""
    harness.run("reloads.reloader", how, 100)
    totals = harness.audit()
    assert totals.facts["reloads"] == 100
    assert totals.facts["leaked_descriptors"] <= 0
    assert totals.acknowledged == 101 + 5 + 1
    harness.check_speed(totals)


def test_a_check_that_is_pickled_by_value_runs_where_we_are_not_installed(harness: Harness) -> None:
    """`cloudpickle.register_pickle_by_value(deepchecks)` works as without us."""
    harness.run("reloads.pickled")
    totals = harness.audit()
    harness.check_speed(totals)
