"""Values that packages exchange are immutable, and have no other attributes."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition
from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.stats import Accounts, EventCount
from deepchecks_telemetry.spool.wipe import Erased
from deepchecks_telemetry.uploader.wire.outcome import Outcome, Response

VALUES = [Accounts, Response, Batch, Erased, Outcome, Row, Disposition, EventCount]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_a_value_is_frozen_and_has_slots(kind: Any) -> None:
    value = object.__new__(kind)
    for field in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, 1)
    assert not hasattr(value, "__dict__")
