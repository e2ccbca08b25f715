"""A spool whose upload to a real receiver is due."""

from typing import TYPE_CHECKING

import pytest
from tests.uploader.programs import set_due

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import ON
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import configure

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver


@pytest.fixture
def due(spool: Home, receiver: "Receiver") -> Home:
    """A spool whose upload to the receiver is due."""
    choose(spool, ON)
    configure(spool, receiver.endpoint.url)
    set_due(spool, 1)
    return spool
