"""Random UUIDs as RFC 9562 wants them, and never the same twice."""

import uuid

from deepchecks_telemetry.spool.identity import new_uuid


def test_an_identifier_is_a_version_4_uuid_in_lower_case_text() -> None:
    for _ in range(200):
        text = new_uuid()
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_no_identifier_comes_twice() -> None:
    assert len({new_uuid() for _ in range(5000)}) == 5000
