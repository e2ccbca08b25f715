"""Nothing is sent to an endpoint that a library sets before it was printed where a person sees it."""

import io
import os
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from deepchecks_telemetry.spool.consent.decision import CHOICE, LOCAL, OFF, ON, POLICY
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.notice import (
    MAX_URLS,
    is_read_by_a_person,
    mark_shown,
    needs_notice,
    notice_shown,
    show_notice,
)
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE

URL, OTHER = "https://a.example/v1/logs", "https://b.example/v1/logs"
ENDPOINT = Endpoint(URL, ATTACHED)
FIRST = 1_800_000_000  # 2027-01-15


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folders(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "state"), str(tmp_path / "config"), str(tmp_path / "policy"))


def choose(folder: str, mode: str) -> None:
    os.makedirs(folder, exist_ok=True)
    Path(folder, "mode").write_text(mode)


def test_only_an_endpoint_that_deepchecks_sets_needs_a_notice_and_an_administrators_on_is_enough() -> None:
    needed = {
        (source, policy, shown)
        for source, policy, shown in product(
            (POLICY, VARIABLE, CHOICE, ATTACHED), (None, ON, LOCAL, OFF), ((), (URL,), (OTHER,), (OTHER, URL))
        )
        if needs_notice(source, policy, shown, URL)
    }
    assert needed == set(product((ATTACHED,), (None, LOCAL, OFF), ((), (OTHER,))))


def test_a_users_on_is_not_consent_to_an_endpoint_that_a_library_sets_later(folders: Home) -> None:
    choose(folders.config, ON)
    assert not notice_shown(folders, ENDPOINT)
    mark_shown(folders, ENDPOINT)
    assert notice_shown(folders, ENDPOINT)
    assert not notice_shown(folders, Endpoint(OTHER, ATTACHED))
    choose(folders.policy, ON)
    assert notice_shown(folders, Endpoint(OTHER, ATTACHED))


@pytest.mark.parametrize("source", [POLICY, VARIABLE, CHOICE])
def test_an_endpoint_that_a_person_set_needs_no_notice_and_no_file(folders: Home, source: str) -> None:
    assert notice_shown(folders, Endpoint(URL, source))
    mark_shown(folders, Endpoint(URL, source))
    assert not os.path.exists(folders.config)


def test_the_notice_names_the_endpoint_the_first_day_and_all_environments_of_this_user(folders: Home) -> None:
    stream = Terminal()
    show_notice(folders, ENDPOINT, FIRST, stream)
    assert URL in stream.getvalue()
    assert "At most once a day, and not before 2027-01-15 (UTC)" in stream.getvalue()
    assert "Turn telemetry off in all your environments: deepchecks telemetry disable" in stream.getvalue()
    assert "machine" not in stream.getvalue()
    assert notice_shown(folders, ENDPOINT)


def test_each_of_several_endpoints_has_its_notice_once(folders: Home) -> None:
    urls = [f"https://{number}.example/v1/logs" for number in range(MAX_URLS + 1)]
    for url in urls:
        show_notice(folders, Endpoint(url, ATTACHED), FIRST, Terminal())
    assert [notice_shown(folders, Endpoint(url, ATTACHED)) for url in urls] == [False, *[True] * MAX_URLS]


def test_the_notice_is_not_printed_if_it_cannot_be_recorded(folders: Home) -> None:
    Path(folders.config).write_text("a file in the directory's place")
    stream = Terminal()
    with pytest.raises(Unusable):
        show_notice(folders, ENDPOINT, FIRST, stream)
    assert stream.getvalue() == ""


def test_a_notice_that_could_not_be_printed_does_not_count(folders: Home) -> None:
    closed = Terminal()
    closed.write = broken  # type: ignore[method-assign]
    mark_shown(folders, Endpoint(OTHER, ATTACHED))
    with pytest.raises(BrokenPipeError):
        show_notice(folders, ENDPOINT, FIRST, closed)
    assert not notice_shown(folders, ENDPOINT)
    assert notice_shown(folders, Endpoint(OTHER, ATTACHED))


def broken(_: str) -> int:
    raise BrokenPipeError


@pytest.mark.parametrize("record", ["", "\x00", URL[:-1], "https://a.example", URL + "/x"])
def test_a_record_of_another_notice_does_not_count(folders: Home, record: str) -> None:
    os.makedirs(folders.config)
    Path(folders.config, "notice").write_text(record)
    assert not notice_shown(folders, ENDPOINT)


def test_a_terminal_is_read_by_a_person_and_a_pipe_or_nothing_is_not() -> None:
    assert [is_read_by_a_person(stream) for stream in (Terminal(), io.StringIO(), None)] == [True, False, False]


@pytest.mark.parametrize(
    ("request_", "read"),
    [
        ({"content": {"allow_stdin": True}}, True),  # JupyterLab, Notebook, VS Code, the consoles
        ({"content": {"allow_stdin": False}}, False),  # nbclient, nbconvert, papermill
        ({"content": {}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_notebook_is_read_by_a_person_if_its_frontend_accepts_input(
    request_: object, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = SimpleNamespace(get_parent=lambda: request_)
    application = SimpleNamespace(initialized=lambda: True, instance=lambda: SimpleNamespace(kernel=kernel))
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", SimpleNamespace(IPKernelApp=application))
    assert is_read_by_a_person(Terminal()) is read  # although the stream is a terminal
