"""Where everything of ours lies; knowing it touches no disk."""

import os
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import find_home


def test_one_variable_moves_state_and_choice_but_not_the_policy(tmp_path: Path) -> None:
    moved, usual = find_home({"DEEPCHECKS_TELEMETRY_DIR": str(tmp_path / "x")}), find_home({})
    assert (moved.state, moved.config) == (str(tmp_path / "x" / "state"), str(tmp_path / "x" / "config"))
    assert moved.policy == usual.policy
    assert Path(usual.state).parts[-2:] == ("deepchecks", "telemetry")


def test_an_empty_variable_is_none() -> None:
    assert find_home({"DEEPCHECKS_TELEMETRY_DIR": ""}) == find_home({})


def test_a_relative_folder_stays_the_same_when_the_program_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_home({"DEEPCHECKS_TELEMETRY_DIR": "here"})
    assert found.spool == str(tmp_path / "here" / "state" / "spool.db")
    assert os.path.isabs(found.mode)


def test_all_of_ours_lies_in_the_three_folders() -> None:
    home = find_home({})
    assert {os.path.dirname(path) for path in (home.spool, home.lock, home.upload_lock)} == {home.state}
    assert (os.path.dirname(home.mode), os.path.dirname(home.policy_mode)) == (home.config, home.policy)


def test_to_know_the_folders_makes_none(tmp_path: Path) -> None:
    before = list(tmp_path.rglob("*"))
    find_home()
    assert list(tmp_path.rglob("*")) == before
