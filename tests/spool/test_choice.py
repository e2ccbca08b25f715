"""The choice is written completely or not at all, readable by this user only."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.choice import choose, choose_off
from deepchecks_telemetry.spool.consent.decision import read_source
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_a_choice_is_one_word_in_a_file(dirs: Home, mode: str) -> None:
    choose(dirs, mode)
    assert Path(dirs.mode).read_text() == mode + "\n"
    assert read_source("", dirs.mode).mode == mode
    assert os.listdir(dirs.config) == ["mode"]


@posix
def test_only_this_user_can_read_a_choice_whatever_the_umask(dirs: Home) -> None:
    before = os.umask(0)
    try:
        choose(dirs, "on")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(dirs.mode).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(dirs.config).st_mode) == 0o700


def test_a_choice_creates_no_spool(dirs: Home) -> None:
    choose(dirs, "on")
    assert not os.path.exists(dirs.state)


def test_the_old_choice_stays_if_the_new_one_cannot_be_written(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(dirs, "off")

    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Unusable, match="No space left on device"):
        choose(dirs, "on")
    assert read_source("", dirs.mode).mode == "off"


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_a_choice_is_written_while_a_program_reads_the_old_one(dirs: Home, mode: str) -> None:
    choose(dirs, "on")
    with open(dirs.mode):
        choose(dirs, mode)
        assert read_source("", dirs.mode).mode == mode
    assert Path(dirs.mode).read_text() == mode + "\n"
    assert os.listdir(dirs.config) == ["mode"]


def test_disable_writes_off_while_a_program_reads_the_choice(dirs: Home) -> None:
    choose(dirs, "on")
    with open(dirs.mode):
        assert choose_off(dirs)
        assert Path(dirs.mode).read_text() == "off\n"


def test_a_file_in_place_of_the_directory_is_a_one_line_error(dirs: Home) -> None:
    os.makedirs(os.path.dirname(dirs.config))
    Path(dirs.config).write_text("")
    with pytest.raises(Unusable, match="your choice cannot be written"):
        choose(dirs, "off")


def test_enable_opens_a_closed_fence_only(dirs: Home, sql: Callable[..., list[Any]]) -> None:
    assert record("run-check")
    choose(dirs, "on")
    assert sql("SELECT epoch FROM spool") == [(0,)]
    sql("UPDATE spool SET epoch = 1")
    choose(dirs, "local")
    assert sql("SELECT epoch FROM spool") == [(2,)]
    choose(dirs, "local")
    assert sql("SELECT epoch FROM spool") == [(2,)]
