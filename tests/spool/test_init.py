"""The room's face: its names, sorted, and every one of them there."""

import sys

import pytest

from deepchecks_telemetry import spool


def test_the_public_names_are_sorted_and_known() -> None:
    assert spool.__all__ == sorted(spool.__all__, key=lambda name: (not name[0].isupper(), name))
    assert " ".join(spool.__all__) == (
        "Accounts Batch Busy Damaged Decision Erased Home Outdated Row Source SpoolError Unusable Verdict Waiting "
        "batches begin choose decide erase find_home find_residue read_accounts read_waiting record seal settle"
    )


@pytest.mark.parametrize("name", spool.__all__)
def test_every_public_name_is_there_when_it_is_asked_for(name: str) -> None:
    assert getattr(spool, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'upload'"):
        spool.upload  # noqa: B018


def test_the_room_and_its_recording_module_are_loaded() -> None:
    assert spool.record is sys.modules["deepchecks_telemetry.spool.recording"].record
