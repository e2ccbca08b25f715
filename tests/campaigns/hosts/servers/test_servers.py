"""Real web servers whose master counts before it forks: every worker counts too."""

import pytest
from tests.campaigns.hosts.harness import Harness
from tests.campaigns.hosts.servers.serving import REQUESTS, SERVERS


@pytest.mark.parametrize("name", SERVERS)
def test_every_worker_of_a_prefork_server_counts(harness: Harness, in_full: bool, name: str) -> None:
    """gunicorn and uWSGI, with the application loaded in the master or in each worker: every request is counted."""
    for _ in range(10 if in_full else 1):
        harness.run("servers.serving", name, talks=True)
    totals = harness.audit()
    assert totals.facts["status"] == 0
    assert totals.facts["requests"] >= 2 * REQUESTS
    assert totals.acknowledged > 0.95 * totals.attempted
    harness.check_speed(totals)
