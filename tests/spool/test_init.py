"""The public interface of the package for a host."""

import sys

from deepchecks_telemetry import spool


def test_record_is_the_only_public_name() -> None:
    assert spool.__all__ == ["record"]
    assert spool.record is sys.modules["deepchecks_telemetry.spool.recording.record"].record
