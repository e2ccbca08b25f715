"""Only a UUID is an identifier, because any other text could identify a person."""

from uuid import uuid4

import pytest

from deepchecks_telemetry.spool.identity import is_uuid


def test_a_uuid4_is_a_uuid() -> None:
    assert all(is_uuid(str(uuid4())) for _ in range(200))


ONE = "6fa459ea-ee8a-4ca4-894e-db77e160355e"


@pytest.mark.parametrize(
    "value", [None, 7, b"", "", "jane@example.org", ONE.upper(), f"{{{ONE}}}", f"{ONE}0", ONE[:-1]]
)
def test_nothing_else_is_a_uuid(value: object) -> None:
    assert not is_uuid(value)
