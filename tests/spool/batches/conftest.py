"""Sealed batches."""

from collections.abc import Callable

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches.ledger import Batch, batches
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.files.paths import Home

EVENTS = ["run-check"] * 5 + ["run-suite"] * 3 + ["package-import"]


@pytest.fixture
def sealed(dirs: Home, render: Callable[[str, list[Row]], bytes]) -> Callable[..., Batch]:
    """Record events and seal them; by default a batch of three rows with 5, 3 and 1 events."""

    def make(*names: str) -> Batch:
        assert all(map(record, names or EVENTS))
        assert seal(dirs, render, while_unsent=True)
        return batches(dirs, states=("sealed",))[-1]

    return make
