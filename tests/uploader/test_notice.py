"""Told before sent: who must be told, and that one telling is enough."""

import io
import os
from itertools import product
from pathlib import Path

import pytest

from deepchecks_telemetry.spool.consent.decision import CHOICE, LOCAL, OFF, ON, POLICY
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import ATTACHED, VARIABLE, Endpoint
from deepchecks_telemetry.uploader.notice import needs_telling, was_told

URL, OTHER = "https://a.example/v1/logs", "https://b.example/v1/logs"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folders(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "state"), str(tmp_path / "config"), str(tmp_path / "policy"))


def test_who_set_the_endpoint_or_chose_on_knows_and_all_others_are_told_once_for_each_endpoint() -> None:
    modes = (None, ON, LOCAL, OFF)
    told_nothing = {
        (source, chosen, policy, told)
        for source, chosen, policy, told in product(
            (POLICY, VARIABLE, CHOICE, ATTACHED), modes, modes, (None, URL, OTHER)
        )
        if needs_telling(source, chosen, policy, told, URL)
    }
    others = (None, LOCAL, OFF)
    assert told_nothing == set(product((ATTACHED,), others, others, (None, OTHER)))


@pytest.mark.parametrize("source", [POLICY, VARIABLE, CHOICE])
def test_an_endpoint_that_a_person_set_needs_no_notice(folders: Home, source: str) -> None:
    stream = Terminal()
    assert was_told(folders, Endpoint(URL, source), stream=stream)
    assert stream.getvalue() == ""


def test_the_notice_is_given_once_says_where_to_and_opens_the_next_time_only(folders: Home) -> None:
    stream = Terminal()
    assert not was_told(folders, Endpoint(URL, ATTACHED), stream=stream)
    assert URL in stream.getvalue()
    assert "deepchecks telemetry disable" in stream.getvalue()
    again = Terminal()
    assert was_told(folders, Endpoint(URL, ATTACHED), stream=again)
    assert again.getvalue() == ""
    assert not was_told(folders, Endpoint(OTHER, ATTACHED), stream=again)
    assert OTHER in again.getvalue()


def test_where_nobody_looks_nothing_is_said_and_nothing_recorded(folders: Home) -> None:
    stream = io.StringIO()
    for _ in range(2):
        assert not was_told(folders, Endpoint(URL, ATTACHED), stream=stream)
    assert stream.getvalue() == ""
    assert not os.path.exists(folders.config)


def test_where_the_telling_cannot_be_recorded_nobody_is_told_again_and_again(folders: Home) -> None:
    Path(folders.config).write_text("a file in the folder's place")
    stream = Terminal()
    with pytest.raises(Unusable):
        was_told(folders, Endpoint(URL, ATTACHED), stream=stream)
    assert stream.getvalue() == ""


def test_a_notice_that_could_not_be_shown_counts_as_none(folders: Home) -> None:
    closed = Terminal()
    closed.write = broken  # type: ignore[method-assign]
    with pytest.raises(BrokenPipeError):
        was_told(folders, Endpoint(URL, ATTACHED), stream=closed)
    assert os.listdir(folders.config) == []
    assert not was_told(folders, Endpoint(URL, ATTACHED), stream=io.StringIO())


def broken(_: str) -> int:
    raise BrokenPipeError


@pytest.mark.parametrize("record", ["", "\x00", URL[:-1], "https://a.example", URL + "/x"])
def test_a_record_of_another_notice_is_none(folders: Home, record: str) -> None:
    os.makedirs(folders.config)
    Path(folders.config, "told").write_text(record)
    assert not was_told(folders, Endpoint(URL, ATTACHED), stream=io.StringIO())
