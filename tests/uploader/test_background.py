"""The automatic upload at an import, with real processes: one of many starts one child, without effect on the host."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.spool.stored import stored
from tests.uploader.programs import HOST, PATIENCE_S, Children, host, run_simultaneously, set_due

from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL, OFF, ON
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader import background
from deepchecks_telemetry.uploader.background import upload_if_due
from deepchecks_telemetry.uploader.child import start
from deepchecks_telemetry.uploader.endpoint import Endpoint, configure
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.notice import mark_shown
from deepchecks_telemetry.uploader.plan.decision import BlockedBy, Command, plan
from deepchecks_telemetry.uploader.plan.facts import read_facts
from deepchecks_telemetry.uploader.schedule import CLAIM_S, DAY_S, first_due
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.uploader.conftest import Behave, Hostile, Receiver

AWAY = "https://collector.example"  # never contacted, because no child is started in the tests that use it
posix = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals, named pipes and signals are POSIX")

CLAIMS = """
import sys
from deepchecks_telemetry.uploader import background
from deepchecks_telemetry.uploader.child import start
start.start = lambda *_: print("started", flush=True)
print("ready", flush=True)
sys.stdin.readline()
background.upload_if_due()
"""
# On a busy machine a process of the lowest priority needs seconds before it sends its request.
SHORT_LIFE = """
import requests, deepchecks_telemetry.uploader.__main__ as uploader
uploader.RESPONSE_S = 30.0
uploader.main(life_s=3.0)
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list["str | None"]:
    """The endpoints of the uploaders that would have been started; none is started."""
    endpoints: list[str | None] = []
    monkeypatch.setattr(start, "start", lambda _, endpoint: endpoints.append(endpoint))
    return endpoints


@pytest.fixture
def due(spool: Home) -> Home:
    """A spool whose upload is due and has an endpoint."""
    configure(spool, AWAY)
    set_due(spool, time.time() - 1)
    return spool


def test_an_upload_that_is_due_is_started_once_and_claimed_for_an_hour(due: Home, started: list["str | None"]) -> None:
    before = int(time.time())
    upload_if_due()
    upload_if_due()
    assert started == [None]
    claimed = stored(due).next_upload
    assert claimed is not None
    assert before + CLAIM_S <= claimed <= time.time() + CLAIM_S


def test_an_upload_that_is_not_due_is_not_started(due: Home, started: list["str | None"]) -> None:
    later = int(time.time()) + 3_600
    set_due(due, later)
    upload_if_due()
    assert started == []
    assert stored(due).next_upload == later


@pytest.mark.parametrize("moment", [None, 40_000 * DAY_S])
def test_a_new_installation_or_one_whose_clock_jumped_back_waits_for_its_first_full_day(
    due: Home, started: list["str | None"], moment: "int | None"
) -> None:
    set_due(due, moment)
    before = time.time()
    upload_if_due()
    assert started == []
    accounts = read_accounts(due)
    assert accounts.installation_id is not None
    assert stored(due).next_upload in {
        first_due(before, accounts.installation_id),
        first_due(time.time(), accounts.installation_id),
    }


@pytest.mark.parametrize("mode", [LOCAL, OFF, "what?"])
def test_nothing_is_started_in_a_mode_other_than_on(
    due: Home, started: list["str | None"], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", mode)
    upload_if_due()
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY", ON)
    choose(due, mode)
    upload_if_due()
    assert started == []
    choose(due, ON)
    upload_if_due()
    assert started == [None]


def test_after_a_disable_nothing_is_started_even_if_the_choice_is_changed_by_hand(
    due: Home, started: list["str | None"]
) -> None:
    erase(due)
    set_due(due, 0)
    Path(due.mode).write_text("on\n")
    upload_if_due()
    assert started == []


@pytest.mark.parametrize("endpoint", ["", "hunter2", "https://me:hunter2@collector.example"])
def test_without_a_valid_endpoint_nothing_is_started_and_nothing_raised(
    spool: Home, started: list["str | None"], endpoint: str
) -> None:
    set_due(spool, 0)
    choose(spool, ON)
    upload_if_due(endpoint)
    assert started == []


def test_without_a_spool_nothing_is_started_or_created(home: Path, started: list["str | None"]) -> None:
    upload_if_due(AWAY)
    assert started == []
    assert not home.exists()


def test_the_attached_endpoint_is_passed_on_and_stored_only_if_it_is_in_force(
    spool: Home, started: list["str | None"], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = "https://attached.example/v1/logs"
    mark_shown(spool, Endpoint(noted, ATTACHED))
    set_due(spool, 0)
    monkeypatch.setenv(VARIABLE, AWAY)
    upload_if_due("https://me:hunter2@collector.example")
    assert (started, stored(spool).endpoint) == ([None], None)
    monkeypatch.delenv(VARIABLE)
    set_due(spool, 0)
    upload_if_due("https://attached.example")
    assert (started, stored(spool).endpoint) == ([None, noted], noted)


def test_a_locked_spool_does_not_block_an_import(due: Home, started: list["str | None"]) -> None:
    with opened(due) as connection:
        connection.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        upload_if_due()
        assert time.monotonic() - began < 2
        connection.execute("ROLLBACK")
    assert started == []
    upload_if_due()
    assert started == [None]


def test_a_program_that_embeds_python_is_not_started_again_and_claims_nothing(
    due: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_due(due, 0)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("started")

    monkeypatch.setattr(sys, "executable", "/opt/editor/editor")
    monkeypatch.setattr(sys, "_base_executable", "/opt/editor/editor")
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    background.upload_if_due()
    assert background.why_no_uploader() is not None
    assert stored(due).next_upload == 0  # not claimed, so that the next program starts it


def run_before_claim(monkeypatch: pytest.MonkeyPatch, act: "Callable[[], object]") -> None:
    """Call `act` once, after the first process has checked and before it claims."""
    acts = [act]

    def act_once(_: int, __: float) -> bool:
        if acts:
            acts.pop()()
        return True

    monkeypatch.setattr(background, "is_sane", act_once)


def test_of_two_processes_that_check_before_either_claims_one_starts_the_uploader(
    due: Home, started: list["str | None"], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_before_claim(monkeypatch, upload_if_due)
    upload_if_due()
    assert started == [None]


def test_a_fence_that_closes_after_the_check_prevents_the_claim(
    due: Home, started: list["str | None"], monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        with opened(due) as connection:
            connection.execute("UPDATE spool SET epoch = epoch + 1")

    run_before_claim(monkeypatch, close)
    upload_if_due()
    assert started == []


def test_of_ten_simultaneous_imports_one_starts_the_uploader(due: Home) -> None:
    assert sorted(run_simultaneously(CLAIMS)) == [""] * 9 + ["started\n"]


@posix
def test_ten_simultaneous_imports_make_one_request_and_do_not_affect_their_programs(
    spool: Home, receiver: "Receiver", children: Children
) -> None:
    configure(spool, receiver.endpoint.url)
    set_due(spool, time.time() - 1)
    receiver.answer = lambda _: Response(
        503, {}, b""
    )  # the events stay sealed, so a second child would send them again
    assert run_simultaneously(HOST, "", str(children.python), "together") == [""] * 10
    assert children.wait() == ""
    assert not children.more()
    assert len(receiver.requests) == 1
    accounts = read_accounts(spool)
    assert (accounts.sealed, stored(spool).failures, accounts.balance) == (3, 1, 0)


@posix
def test_the_child_sends_pending_events_whatever_files_are_in_the_hosts_directory(
    spool: Home, receiver: "Receiver", children: Children, tmp_path: Path
) -> None:
    configure(spool, receiver.endpoint.url)
    set_due(spool, time.time() - 1)
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("requests", "filelock", "json"):
        (folder / f"{name}.py").write_text("raise SystemExit('a module of the project')\n")
    (folder / "deepchecks_telemetry").mkdir()
    gone = threading.Event()
    receiver.answer = lambda _: Response(200 if gone.wait(PATIENCE_S) else 500, {}, b"{}")
    program = host(HOST, "", str(children.python), cwd=folder)
    assert program.communicate(timeout=PATIENCE_S) == ("", "")
    gone.set()
    children.wait()
    assert len(receiver.requests) == 1
    accounts = read_accounts(spool)
    assert (accounts.delivered, accounts.balance) == (3, 0)
    assert (stored(spool).next_upload or 0) > time.time()


@posix
@pytest.mark.parametrize("mode", [LOCAL, OFF])
def test_the_child_sends_nothing_in_a_mode_other_than_on(spool: Home, receiver: "Receiver", mode: str) -> None:
    configure(spool, receiver.endpoint.url)
    choose(spool, mode)
    done = subprocess.run(
        [sys.executable, "-m", "deepchecks_telemetry.uploader"], timeout=PATIENCE_S, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert receiver.requests == []
    assert read_accounts(spool).pending == 3


def test_the_child_sends_nothing_before_the_notice_was_shown(spool: Home, receiver: "Receiver") -> None:
    command = [sys.executable, "-m", "deepchecks_telemetry.uploader", receiver.endpoint.url]
    done = subprocess.run(command, timeout=PATIENCE_S, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert receiver.requests == []


def test_the_child_exits_normally_without_a_spool(home: Path, receiver: "Receiver") -> None:
    configure(find_home(), receiver.endpoint.url)
    done = subprocess.run(
        [sys.executable, "-m", "deepchecks_telemetry.uploader"], timeout=PATIENCE_S, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not Path(find_home().state).exists()


def never_respond(connection: socket.socket, released: threading.Event) -> None:
    connection.recv(65_536)
    released.wait()


def test_the_child_ends_at_its_time_limit_if_the_server_never_responds(
    spool: Home, receiver: "Receiver", hostile: "Callable[[Behave], Hostile]"
) -> None:
    server = hostile(never_respond)
    configure(spool, server.endpoint.url)
    child = subprocess.Popen([sys.executable, "-c", SHORT_LIFE])
    server.accepted.get(timeout=PATIENCE_S)
    assert child.wait(timeout=PATIENCE_S) == 1  # not 0, as after the deadline of the request
    assert_nothing_lost(spool, receiver)


@posix
def test_a_child_that_is_killed_while_it_waits_leaves_no_lock_and_loses_nothing(
    spool: Home, receiver: "Receiver", hostile: "Callable[[Behave], Hostile]"
) -> None:
    server = hostile(never_respond)
    configure(spool, server.endpoint.url)
    child = subprocess.Popen([sys.executable, "-m", "deepchecks_telemetry.uploader"])
    server.accepted.get(timeout=PATIENCE_S)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == 19
    child.send_signal(signal.SIGKILL)
    assert child.wait(timeout=PATIENCE_S) == -signal.SIGKILL
    assert_nothing_lost(spool, receiver)


def assert_nothing_lost(home: Home, receiver: "Receiver") -> None:
    (batch,) = batches(home)
    assert (read_accounts(home).sealed, read_accounts(home).balance, batch.attempts) == (3, 0, 1)
    assert [sent.outcome.kind for sent in flush(home, receiver.endpoint)] == [DELIVERED]
    assert receiver.bodies() == [batch.packed]
    assert (read_accounts(home).delivered, read_accounts(home).balance) == (3, 0)


@posix
def test_the_notice_for_an_attached_endpoint_is_shown_once_on_a_terminal_and_a_full_day_before_the_first_upload(
    spool: Home, receiver: "Receiver", children: Children
) -> None:
    url, installation = receiver.endpoint.url, read_accounts(spool).installation_id
    assert installation is not None
    set_due(spool, time.time() - 1)
    unseen = host(HOST, url, str(children.python))
    assert unseen.communicate(timeout=PATIENCE_S) == ("", "")  # not shown, because nobody would see it
    assert plan_of(spool) == (BlockedBy.NOTICE, url)  # `status` reports what blocks it
    before = time.time()
    notice = on_a_terminal(HOST, url, str(children.python))
    due = {first_due(moment, installation) for moment in (before, time.time())}
    assert url in notice
    assert any(time.strftime("%Y-%m-%d", time.gmtime(moment)) in notice for moment in due)
    assert Path(spool.config, "notice").read_text() == f"{url}\n"
    assert plan_of(spool) == (None, url)
    assert stored(spool).next_upload in due
    assert on_a_terminal(HOST, url, str(children.python)) == ""
    assert (children.more(), receiver.requests) == (False, [])
    set_due(spool, time.time() - 1)
    assert on_a_terminal(HOST, url, str(children.python)) == ""
    assert children.wait() == url
    assert len(receiver.requests) == 1
    assert (read_accounts(spool).delivered, stored(spool).endpoint) == (3, url)


def plan_of(home: Home) -> "tuple[BlockedBy | None, str | None]":
    """What blocks the upload by `status`, and the endpoint."""
    now = time.time()
    planned = plan(read_facts(home, now), Command.REPORT, now)
    return planned.blocked_by, planned.endpoint and planned.endpoint.url


def on_a_terminal(*arguments: str) -> str:
    """What a host prints on its standard error if that is a terminal."""
    import pty

    master, slave = pty.openpty()
    try:
        program = host(*arguments, stderr=slave)
        assert program.communicate(timeout=PATIENCE_S)[0] == ""
        return os.read(master, 65_536).decode() if select.select([master], [], [], 0)[0] else ""
    finally:
        os.close(slave)
        os.close(master)
