"""The choice is written whole or not at all, for this user alone."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import read_mode
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_a_choice_is_one_word_in_a_file(ours: Home, mode: str) -> None:
    choose(ours, mode)
    assert Path(ours.mode).read_text() == mode + "\n"
    assert read_mode(ours.mode) == mode
    assert os.listdir(ours.config) == ["mode"]


@posix
def test_only_this_user_can_read_a_choice_whatever_the_umask(ours: Home) -> None:
    before = os.umask(0)
    try:
        choose(ours, "on")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(ours.mode).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(ours.config).st_mode) == 0o700


def test_a_choice_creates_no_spool(ours: Home) -> None:
    choose(ours, "on")
    assert not os.path.exists(ours.state)


def test_the_old_choice_stays_if_the_new_one_cannot_be_written(ours: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(ours, "off")

    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Unusable, match="No space left on device"):
        choose(ours, "on")
    assert read_mode(ours.mode) == "off"


def test_a_file_in_place_of_the_directory_is_a_one_line_error(ours: Home) -> None:
    os.makedirs(os.path.dirname(ours.config))
    Path(ours.config).write_text("")
    with pytest.raises(Unusable, match="your choice cannot be written"):
        choose(ours, "off")


def test_enable_opens_a_closed_fence_only(ours: Home, sql: Callable[..., list[Any]]) -> None:
    assert record("run-check")
    choose(ours, "on")
    assert sql("SELECT epoch FROM spool") == [(0,)]
    sql("UPDATE spool SET epoch = 1")
    choose(ours, "local")
    assert sql("SELECT epoch FROM spool") == [(2,)]
    choose(ours, "local")
    assert sql("SELECT epoch FROM spool") == [(2,)]
