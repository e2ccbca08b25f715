"""What is handed from room to room cannot be changed on the way, and nothing can be hung on it."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, ScheduleState
from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.stats import Accounts, Waiting
from deepchecks_telemetry.spool.wipe import Erased
from deepchecks_telemetry.uploader.wire.outcome import Outcome, Response

VALUES = [Accounts, Response, Batch, Erased, Outcome, Row, ScheduleState, Disposition, Waiting]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_a_value_is_frozen_and_has_no_room_for_more(kind: Any) -> None:
    value = object.__new__(kind)
    for field in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, 1)
    assert not hasattr(value, "__dict__")
