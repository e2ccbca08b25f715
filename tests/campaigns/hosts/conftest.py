"""Fixtures of the host tests: on which systems they run, and a harness for each of them."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.campaigns.hosts.oracle", "tests.campaigns.hosts.harness")

from tests.campaigns.hosts.harness import Control, Harness  # noqa: E402

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set a timeout of an hour; skip them where there is no /proc, or where the hosts are not installed."""
    missing = find_spec("celery") is None
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(3600))
            item.add_marker(pytest.mark.skipif(sys.platform != "linux", reason="the hosts are Linux programs"))
            item.add_marker(pytest.mark.skipif(missing, reason="the hosts are installed by `nox -s hosts`"))


@pytest.fixture
def harness(home: Path, tmp_path: Path) -> Iterator[Harness]:
    """A harness with an empty spool."""
    control = Control(tmp_path)
    yield Harness(home, tmp_path, control)
    control.slowest_ms()
