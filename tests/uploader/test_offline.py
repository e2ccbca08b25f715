"""Export, delivery and settlement: each event is in one state, whatever is truncated, edited, sent twice or lost."""

import gzip
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.spool.stored import stored

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches import export_files
from deepchecks_telemetry.spool.batches import exports as spool_exports
from deepchecks_telemetry.spool.batches.ledger import batches
from deepchecks_telemetry.spool.batches.seal import seal
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent.decision import LOCAL, OFF
from deepchecks_telemetry.spool.db.connection import opened
from deepchecks_telemetry.spool.db.schema import MAX_SPOOL_BYTES
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.stats import Accounts, read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, BadFile, CannotWrite, NotAllowed
from deepchecks_telemetry.uploader.flush import flush, seal_next
from deepchecks_telemetry.uploader.offline import export as exporting
from deepchecks_telemetry.uploader.offline.bundle import Request, read_file
from deepchecks_telemetry.uploader.offline.deliver import Delivery, deliver
from deepchecks_telemetry.uploader.offline.export import Exported, export
from deepchecks_telemetry.uploader.offline.receipt import Entry, read, to_bytes, write
from deepchecks_telemetry.uploader.offline.settle import settle_receipt
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, EXPORTED, PARKED, REJECTED, RETRY, Response

if TYPE_CHECKING:
    from tests.uploader.conftest import Fill, Receiver

NOW = 1_800_000_000.0


def accounts(home: Home) -> Accounts:
    totals = read_accounts(home)
    assert totals.balance == 0
    return totals


@pytest.fixture
def exported_file(spool: Home, stick: Path) -> Path:
    """An exported file with three events in one batch."""
    (made,) = export(spool, str(stick))
    return Path(made.path)


@pytest.fixture
def deliver_files(receiver: "Receiver", tmp_path: Path) -> Callable[..., list[Delivery]]:
    """Delivers files to the receiver, with one ledger for the whole test."""

    def run(*files: Path) -> list[Delivery]:
        requests = [request for file in files for request in read_file(str(file))]
        return list(deliver(requests, receiver.endpoint, str(tmp_path / "delivery" / "ledger.db")))

    return run


def entries(done: list[Delivery]) -> list[Entry]:
    return [delivery.entry for delivery in done if delivery.entry]


def changed(home: Home, receipt: list[Entry]) -> list[bool]:
    return [settled.changed for settled in settle_receipt(home, receipt)]


def uids(receiver: "Receiver") -> list[str]:
    return [
        entry["attributes"][0]["value"]["stringValue"]
        for body in receiver.bodies()
        for group in json.loads(gzip.decompress(body))["resourceLogs"]
        for scope in group["scopeLogs"]
        for entry in scope["logRecords"]
    ]


def test_a_file_contains_the_sealed_bodies_one_per_line_and_its_batches_are_exported(spool: Home, stick: Path) -> None:
    previewed = seal_next(spool)
    assert previewed is not None
    (made,) = export(spool, str(stick))
    content = Path(made.path).read_bytes()
    assert content == previewed.body + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    assert made == Exported(
        str(stick / f"deepchecks-telemetry-{digest[:16]}.jsonl"), digest, len(content), (previewed.id,), 3
    )
    totals = accounts(spool)
    assert (totals.exported, totals.pending, totals.sealed, totals.rows) == (3, 0, 0, 0)
    assert os.listdir(stick) == [os.path.basename(made.path)]
    assert list(export(spool, str(stick))) == []


def test_many_rows_are_in_one_file_or_in_as_many_as_the_size_limit_needs(
    spool: Home, fill: "Fill", stick: Path, tmp_path: Path
) -> None:
    fill(2500)
    (made,) = export(spool, str(tmp_path / "all.jsonl"))
    lines = Path(made.path).read_bytes().splitlines()
    assert [hashlib.sha256(line).hexdigest() for line in lines] == [batch.sha256 for batch in batches(spool)]
    assert (made.batches, accounts(spool).exported) == ((1, 2, 3), 2503)
    longest = max(map(len, lines))
    parts = list(export(spool, str(tmp_path / "part.jsonl"), split_bytes=longest + 1, again=True))
    assert [os.path.basename(part.path) for part in parts] == ["part.jsonl", "part-2.jsonl", "part-3.jsonl"]
    assert b"".join(Path(part.path).read_bytes() for part in parts) == Path(made.path).read_bytes()
    assert [len(list(export(spool, str(stick), split_bytes=size, again=True))) for size in (1, 10**9)] == [3, 1]


def test_a_batch_that_is_exported_delivered_and_settled_is_counted_once(
    spool: Home, exported_file: Path, deliver_files: Callable[..., list[Delivery]], receiver: "Receiver", stick: Path
) -> None:
    done = deliver_files(exported_file)
    receipt = write(entries(done), str(stick))
    text = Path(receipt).read_text()
    assert not [uid for uid in uids(receiver) if uid in text]
    assert (read_accounts(spool).installation_id or "?") not in text
    assert changed(spool, read(receipt)) == [True]
    totals = accounts(spool)
    assert (totals.delivered, totals.exported, totals.batches) == (3, 0, 0)
    # All of it again: the delivery, also of a copy of the file, the receipt, and a flush.
    copy = exported_file.with_name(exported_file.name.replace(".jsonl", " (1).jsonl"))
    copy.write_bytes(exported_file.read_bytes())
    again = deliver_files(exported_file, copy)
    assert [delivery.outcome.reason for delivery in again] == ["already delivered"] * 2
    assert changed(spool, entries(again)) == [False, False]
    assert list(flush(spool, receiver.endpoint, parked=True, exported=True)) == []
    assert (accounts(spool), len(receiver.requests), len(set(uids(receiver)))) == (totals, 1, 2)


@pytest.mark.parametrize("settled_first", [True, False])
def test_an_export_that_is_flushed_too_has_the_same_uids_and_is_counted_once(
    spool: Home,
    exported_file: Path,
    deliver_files: Callable[..., list[Delivery]],
    receiver: "Receiver",
    settled_first: bool,
) -> None:
    assert list(flush(spool, receiver.endpoint, parked=True)) == []  # exported batches are sent only on request
    receipt = entries(deliver_files(exported_file))
    if settled_first:
        assert changed(spool, receipt) == [True]
    (*sent,) = flush(spool, receiver.endpoint, exported=True)
    assert [attempt.outcome.kind for attempt in sent] == ([] if settled_first else [DELIVERED])
    assert changed(spool, receipt) == [False]
    assert accounts(spool).delivered == 3
    assert len(set(uids(receiver))) == 2
    assert len(receiver.requests) == (1 if settled_first else 2)


@pytest.mark.parametrize("status", [503, 403])
def test_an_export_that_cannot_be_flushed_stays_exported(
    spool: Home, exported_file: Path, receiver: "Receiver", status: int
) -> None:
    receiver.answer = lambda _: Response(status, {}, b"")
    (sent,) = flush(spool, receiver.endpoint, exported=True)
    assert sent.outcome.kind in (RETRY, PARKED)
    assert (accounts(spool).exported, accounts(spool).sealed) == (3, 0)


def test_a_lost_file_is_written_again_with_the_same_bytes(spool: Home, exported_file: Path, stick: Path) -> None:
    content = exported_file.read_bytes()
    exported_file.unlink()
    assert list(export(spool, str(stick))) == []
    (made,) = export(spool, str(stick), again=True)
    assert (Path(made.path), Path(made.path).read_bytes()) == (exported_file, content)
    assert accounts(spool).exported == 3


def test_a_parked_batch_can_be_exported(spool: Home, receiver: "Receiver", stick: Path) -> None:
    receiver.answer = lambda _: Response(403, {}, b"")
    list(flush(spool, receiver.endpoint))
    (made,) = export(spool, str(stick))
    assert (made.events, accounts(spool).exported) == (3, 3)


def damage(content: bytes) -> dict[str, bytes]:
    line = content[:-1]
    request = json.loads(line)
    request["resourceLogs"][0]["resource"]["attributes"][0]["value"]["stringValue"] = "acme"
    return {
        "nothing": b"",
        "no last line end": line,
        "first half": content[: len(content) // 2],
        "first half with a line end": content[: len(content) // 2] + b"\n",
        "a blank": content.replace(b":", b": ", 1),
        "a negative count": content.replace(b'"intValue":"2"', b'"intValue":"-2"'),
        "a count with a sign": content.replace(b'"intValue":"2"', b'"intValue":"+2"'),
        "another event": content.replace(b"deepchecks.run-check", b"deepchecks.secret!!"),
        "another service": json.dumps(request, separators=(",", ":")).encode() + b"\n",
        "another member": content.replace(b'"resourceLogs"', b'"more":1,"resourceLogs"', 1),
        "an invalid uid": content.replace(b"-", b"_", 1),
        "a windows line end": line + b"\r\n",
        "an additional line": content + b"{}\n",
        "a blank line": content + b"\n",
        "an array": b"[]\n",
        "not utf-8": b"\xff\xfe\n",
        "deep nesting": b"[" * 100_000 + b"\n",
    }


@pytest.mark.parametrize("kind", damage(b'{"resourceLogs":[{"resource":{"attributes":[{"value":{}}]}}]}\n'))
@pytest.mark.parametrize("name", [None, "counts.jsonl"])
def test_a_changed_file_is_refused_completely(
    exported_file: Path, receiver: "Receiver", kind: str, name: "str | None"
) -> None:
    content = exported_file.read_bytes()
    changed = damage(content)[kind]
    assert changed != content
    file = exported_file.with_name(name or exported_file.name)
    file.write_bytes(changed)
    with pytest.raises(BadFile) as caught:
        read_file(str(file))
    assert str(caught.value).isprintable()
    assert receiver.requests == []


def test_a_changed_count_is_detected_by_the_digest_in_the_name(exported_file: Path) -> None:
    exported_file.write_bytes(exported_file.read_bytes().replace(b'"intValue":"2"', b'"intValue":"200"'))
    with pytest.raises(BadFile, match="its SHA-256 does not match its name"):
        read_file(str(exported_file))


def test_an_undetected_edit_settles_nothing(
    spool: Home, exported_file: Path, deliver_files: Callable[..., list[Delivery]]
) -> None:
    edited = exported_file.with_name("counts.jsonl")
    edited.write_bytes(exported_file.read_bytes().replace(b'"intValue":"2"', b'"intValue":"200"'))
    (settled,) = settle_receipt(spool, entries(deliver_files(edited)))
    assert (settled.batch, settled.changed) == (None, False)
    assert (accounts(spool).exported, accounts(spool).delivered) == (3, 0)


def test_a_file_of_another_version_is_accepted_if_all_its_names_are_known(exported_file: Path) -> None:
    content = exported_file.read_bytes().replace(b'"version":"' + exporting_version() + b'"', b'"version":"99.12.1rc1"')
    assert content != exported_file.read_bytes()
    file = exported_file.with_name("counts.jsonl")
    file.write_bytes(content)
    (request,) = read_file(str(file))
    assert request == Request(content[:-1], hashlib.sha256(content[:-1]).hexdigest(), 2, 3, "counts.jsonl", 1)


def exporting_version() -> bytes:
    from deepchecks_telemetry.uploader.wire.otlp import SCOPE

    return SCOPE["version"].encode()


def test_a_receipt_of_another_installation_changes_nothing(
    spool: Home,
    exported_file: Path,
    deliver_files: Callable[..., list[Delivery]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEEPCHECKS_TELEMETRY_DIR", str(tmp_path / "other"))
    assert record("run-suite")
    other = find_home()
    (made,) = export(other, str(exported_file.parent))
    receipt = entries(deliver_files(exported_file, Path(made.path)))
    assert [(settled.batch is not None, settled.changed) for settled in settle_receipt(other, receipt)] == [
        (False, False),
        (True, True),
    ]
    assert (accounts(other).delivered, accounts(spool).exported) == (1, 3)
    assert changed(spool, receipt) == [True, False]
    assert (accounts(spool).delivered, accounts(spool).exported) == (3, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-10],
        lambda _: b"",
        lambda content: content.replace(b'"rejected_rows": 0', b'"rejected_rows": 1'),
        lambda content: content.replace(b'"delivered"', b'"rejected"'),
        lambda content: content.replace(b"receipt 1", b"receipt 2"),
        lambda _: b"[]",
        lambda _: b"[" * 100_000,
        lambda _: to_bytes([Entry("0" * 64, "exported")]),
        lambda _: to_bytes([Entry("0" * 64, "delivered", -1)]),
        lambda _: to_bytes([Entry("no digest", "delivered")]),
        lambda _: to_bytes([Entry("0" * 64, "delivered", True)]),
    ],
)
def test_a_changed_receipt_is_refused(stick: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = Path(write([Entry("0" * 64, "delivered")], str(stick / "receipt.json")))
    assert read(str(path)) == [Entry("0" * 64, "delivered")]
    content = path.read_bytes()
    path.write_bytes(spoil(content))
    assert path.read_bytes() != content
    with pytest.raises(BadFile, match=r"receipt\.json"):
        read(str(path))


@pytest.mark.parametrize(
    ("answer", "delivered", "rejected"),
    [
        (Response(200, {}, b'{"partialSuccess":{"rejectedLogRecords":"1"}}'), 2, 1),
        (Response(200, {}, b'{"partialSuccess":{"rejectedLogRecords":"99"}}'), 0, 3),
        (Response(400, {}, b'{"code":3,"message":"what?"}'), 0, 3),
    ],
)
def test_rows_that_were_rejected_at_delivery_are_recorded_from_the_receipt(
    spool: Home,
    exported_file: Path,
    deliver_files: Callable[..., list[Delivery]],
    receiver: "Receiver",
    answer: Response,
    delivered: int,
    rejected: int,
) -> None:
    receiver.answer = lambda _: answer
    assert changed(spool, entries(deliver_files(exported_file))) == [True]
    totals = accounts(spool)
    assert (totals.delivered, totals.rejected, totals.exported) == (delivered, rejected, 0)


@pytest.mark.parametrize(("answer", "kind"), [(Response(503), RETRY), (Response(403), PARKED)])
def test_a_failed_delivery_is_in_no_receipt_and_is_retried(
    exported_file: Path, deliver_files: Callable[..., list[Delivery]], receiver: "Receiver", answer: Response, kind: str
) -> None:
    receiver.answer = lambda _: answer
    (delivery,) = deliver_files(exported_file)
    assert (delivery.outcome.kind, delivery.entry) == (kind, None)
    receiver.answer = lambda _: Response(200, {}, b"{}")
    (delivery,) = deliver_files(exported_file)
    assert (delivery.outcome.kind, delivery.entry is not None) == (DELIVERED, True)


def test_a_receipt_does_not_change_the_upload_schedule(
    spool: Home, exported_file: Path, deliver_files: Callable[..., list[Delivery]]
) -> None:
    with opened(spool) as connection:
        connection.execute("UPDATE spool SET next_upload = 8, failures = 9")
        connection.execute("INSERT INTO retry_after VALUES ('a.example', 7)")
    assert changed(spool, entries(deliver_files(exported_file))) == [True]
    assert (stored(spool).next_upload, stored(spool).failures) == (8, 9)
    with opened(spool) as connection:
        assert connection.execute("SELECT * FROM retry_after").fetchall() == [("a.example", 7)]


def test_deliver_needs_a_receiver_and_a_writable_ledger(exported_file: Path, tmp_path: Path) -> None:
    requests = read_file(str(exported_file))
    with pytest.raises(BadEndpoint, match="not to a directory"):
        list(deliver(requests, Endpoint("file:///srv", "a test"), str(tmp_path / "ledger.db")))
    with pytest.raises(CannotWrite, match="ledger"):
        list(deliver(requests, Endpoint("http://127.0.0.1:9/v1/logs", "a test"), str(exported_file / "ledger.db")))


@pytest.mark.parametrize(
    "act", [lambda home, stick: list(export(home, stick)), lambda home, _: settle_receipt(home, [])]
)
def test_nothing_is_exported_or_settled_in_mode_off(spool: Home, stick: Path, act: Callable[[Home, str], Any]) -> None:
    choose(spool, LOCAL)
    act(spool, str(stick))
    choose(spool, OFF)
    with pytest.raises(NotAllowed, match="telemetry is off, decided by "):
        act(spool, str(stick))


def test_without_a_spool_there_is_nothing_to_export_or_settle(home: Path, stick: Path) -> None:
    assert list(export(find_home(), str(stick))) == []
    assert settle_receipt(find_home(), [Entry("0" * 64, "delivered")])[0].batch is None
    assert not home.exists()
    assert os.listdir(stick) == []


def test_an_existing_file_is_not_overwritten(spool: Home, stick: Path) -> None:
    (stick / "taken.jsonl").write_text("another file")
    with pytest.raises(CannotWrite, match="already exists with other content"):
        list(export(spool, str(stick / "taken.jsonl")))
    assert (accounts(spool).exported, accounts(spool).sealed) == (0, 3)
    assert erase(spool).exports_left == ()
    assert [(file.name, file.read_text()) for file in stick.iterdir()] == [("taken.jsonl", "another file")]


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("usb/", "usb/"),
        ("usb", "usb"),
        ("usb/.", "usb/."),
        ("usb//", "usb//"),
        ("counts.jsonl/", "counts.jsonl/"),
        ("usb/counts.jsonl", "usb"),
        ("file/counts.jsonl", "file"),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_directory_that_is_missing_is_not_taken_for_a_file(
    spool: Home, stick: Path, path: str, missing: str, again: bool
) -> None:
    """The path of a disk that is not mounted, with or without a slash, must not become a file."""
    (stick / "file").write_text("no directory")
    before = accounts(spool)
    with pytest.raises(CannotWrite, match=re.escape(f'there is no directory "{stick}{os.sep}{missing}"')):
        list(export(spool, f"{stick}{os.sep}{path}", again=again))
    assert (accounts(spool), before.pending) == (before, 3)
    assert os.listdir(stick) == ["file"]
    assert not os.path.exists(os.path.join(spool.state, "exports.jsonl"))


def test_a_batch_that_is_settled_during_its_second_export_stays_settled(
    spool: Home, exported_file: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (batch,) = batches(spool)
    real = spool_exports.mark_exported

    def settle_first(*values: Any, **named: Any) -> Any:
        assert changed(spool, [Entry(batch.sha256, "delivered")]) == [True]
        return real(*values, **named)

    monkeypatch.setattr(exporting, "mark_exported", settle_first)
    assert len(list(export(spool, str(stick / "again.jsonl"), again=True))) == 1
    assert (accounts(spool).delivered, accounts(spool).exported) == (3, 0)


# --- disable


def test_disable_removes_our_exports_and_nothing_else(
    spool: Home, stick: Path, deliver_files: Callable[..., list[Delivery]]
) -> None:
    delivered, edited, moved = (
        export_one(spool, stick / name, event)
        for name, event in (("a.jsonl", "run-check"), ("b.jsonl", "run-suite"), ("c.jsonl", "run-check"))
    )
    left = export_one(spool, stick / "d.jsonl", "run-suite")
    settle_receipt(spool, entries(deliver_files(delivered)))
    edited.write_text("a person's own text")
    moved.rename(stick / "moved.jsonl")
    erased = erase(spool)
    assert not left.exists()
    assert sorted(os.listdir(stick)) == ["b.jsonl", "moved.jsonl"]
    assert erased.exports_left == (str(edited), str(moved))
    assert (len(erased.removed), erased.before.exported) == (2, 4 + 2 - 3)


def export_one(home: Home, path: Path, event: str) -> Path:
    assert record(event)
    assert [made.path for made in export(home, str(path))] == [str(path)]
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")
def test_disable_follows_no_link_at_the_path_of_an_export(spool: Home, exported_file: Path) -> None:
    target = exported_file.with_name("target.jsonl")
    exported_file.rename(target)
    exported_file.symlink_to(target)
    erase(spool)
    assert target.exists()
    assert exported_file.is_symlink()


def test_a_running_export_writes_nothing_after_a_disable(
    spool: Home, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = spool_exports.register_export

    def fence_first(home: Home, *rest: Any) -> bool:
        with opened(home) as connection:
            connection.execute("UPDATE spool SET epoch = epoch + 1")
        return real(home, *rest)

    monkeypatch.setattr(exporting, "register_export", fence_first)
    with pytest.raises(NotAllowed, match="disabled while the export was running"):
        list(export(spool, str(stick)))
    assert os.listdir(stick) == []
    assert not os.path.exists(os.path.join(spool.state, "exports.jsonl"))


def test_an_export_that_got_the_lock_after_a_disable_reads_the_choice_again(
    spool: Home, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_off(home: Home, *_: Any, **__: Any) -> bool:
        choose(home, OFF)
        return seal(home, render)

    monkeypatch.setattr(exporting, "seal", choose_off)
    with pytest.raises(NotAllowed, match="telemetry is off"):
        list(export(spool, str(stick)))
    assert os.listdir(stick) == []


# --- a directory as an endpoint


def directory_endpoint(folder: Path) -> Endpoint:
    return Endpoint(folder.as_uri(), "a test")


@pytest.mark.skipif(sys.platform == "win32", reason="the URL of a directory is different on Windows")
def test_a_directory_as_endpoint_gets_a_file_for_each_batch_and_the_next_upload_is_tomorrow(
    spool: Home, stick: Path, fill: "Fill", deliver_files: Callable[..., list[Delivery]]
) -> None:
    fill(1500)
    (*sent,) = flush(spool, directory_endpoint(stick), clock=lambda: NOW)
    assert [attempt.outcome.kind for attempt in sent] == [EXPORTED, EXPORTED]
    totals = accounts(spool)
    assert (totals.exported, totals.sealed, totals.pending, stored(spool).failures) == (1503, 0, 0, 0)
    assert NOW < (stored(spool).next_upload or 0) < NOW + 2 * 86_400
    assert changed(spool, entries(deliver_files(*stick.iterdir()))) == [True, True]
    assert accounts(spool).delivered == 1503


@pytest.mark.skipif(sys.platform == "win32", reason="the URL of a directory is different on Windows")
def test_a_missing_directory_is_retried_later(spool: Home, stick: Path) -> None:
    stick.rmdir()
    (sent,) = flush(spool, directory_endpoint(stick), clock=lambda: NOW)
    assert (sent.outcome.kind, sent.outcome.reason) == (RETRY, "the directory cannot be written")
    assert (accounts(spool).sealed, accounts(spool).exported, stored(spool).failures) == (3, 0, 1)
    stick.mkdir()
    assert [attempt.outcome.kind for attempt in flush(spool, directory_endpoint(stick))] == [EXPORTED]
    erase(spool)
    assert os.listdir(stick) == []


def test_all_of_a_year_of_exports_without_a_receipt_can_be_exported_again(spool: Home, stick: Path) -> None:
    number_of_exports = 20 if os.name == "nt" else 100  # under Wine each takes half a second
    for number in range(number_of_exports):
        assert record("run-suite")
        assert len(list(export(spool, str(stick / f"{number}.jsonl")))) == 1
    (made,) = export(spool, str(stick / "again.jsonl"), again=True)
    assert (len(made.batches), made.events, accounts(spool).dropped) == (number_of_exports, number_of_exports + 3, {})
    files = [stick / f"{number}.jsonl" for number in range(number_of_exports)]
    assert Path(made.path).read_bytes() == b"".join(file.read_bytes() for file in files)


@pytest.mark.skipif(sys.platform == "win32", reason="the URL of a directory is different on Windows")
def test_beyond_the_limit_the_oldest_exports_count_as_dropped_until_a_late_receipt(
    spool: Home, stick: Path, monkeypatch: pytest.MonkeyPatch, deliver_files: Callable[..., list[Delivery]]
) -> None:
    monkeypatch.setattr(spool_exports, "MAX_UNSETTLED_BYTES", 1_100)  # two batches
    for _ in range(5):
        assert record("run-suite")
        list(flush(spool, directory_endpoint(stick)))
    assert [batch.state for batch in batches(spool)] == ["dropped"] * 3 + ["exported"] * 2
    totals = accounts(spool)
    assert (totals.exported, totals.dropped, totals.recorded) == (2, {"unsettled": 3 + 3}, 8)
    with opened(spool) as connection:
        assert connection.execute("SELECT count(DISTINCT batch) FROM rows").fetchone() == (2,)
    assert list(flush(spool, Endpoint("http://127.0.0.1:9/v1/logs", "a test"), lock_s=1)) == []
    (made,) = export(spool, str(stick / "again.jsonl"), again=True)
    assert (made.events, accounts(spool).dropped) == (2, {"unsettled": 6})
    (stick / "again.jsonl").unlink()
    receipt = entries(deliver_files(*stick.iterdir()))
    assert changed(spool, receipt) == [True] * 5
    assert changed(spool, receipt) == [False] * 5
    totals = accounts(spool)
    assert (totals.delivered, totals.exported, totals.dropped) == (8, 0, {})


def test_the_number_of_digests_of_dropped_exports_is_limited(
    spool: Home, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_exports, "MAX_UNSETTLED_BYTES", 0)
    monkeypatch.setattr(spool_exports, "MAX_DROPPED", 2)
    for number in range(4):
        assert record("run-suite")
        list(export(spool, str(stick / f"{number}.jsonl")))
    assert [batch.id for batch in batches(spool)] == [3, 4]
    assert (accounts(spool).exported, accounts(spool).dropped) == (0, {"unsettled": 3 + 4})


def test_a_spool_full_of_unsettled_exports_stays_far_below_the_maximum_size(
    spool: Home, fill: "Fill", stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts what a batch takes on the disk: body and rows."""
    fill(20_000)
    list(export(spool, str(stick / "all.jsonl")))
    with opened(spool) as connection:
        packed, rows = connection.execute("SELECT sum(length(packed)), sum(rows) FROM batches").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    counted = packed + spool_exports.ROW_BYTES * rows
    assert 0.8 * pages * page_bytes < counted < 1.6 * pages * page_bytes
    assert 2 * spool_exports.MAX_UNSETTLED_BYTES < MAX_SPOOL_BYTES


def test_a_batch_whose_bytes_were_changed_is_parked_and_the_others_are_exported(spool: Home, stick: Path) -> None:
    seal_next(spool)
    with opened(spool) as connection:
        connection.execute("UPDATE batches SET packed = x'00'")
    assert record("run-suite")
    (made,) = export(spool, str(stick))
    assert (made.events, accounts(spool).exported) == (1, 1)
    assert next((batch.state, batch.outcome) for batch in batches(spool)) == ("parked", "its bytes were changed")


def test_the_spool_contains_no_path_of_an_export(spool: Home, stick: Path) -> None:
    directory = stick / "project-x"
    directory.mkdir()
    (made,) = export(spool, str(directory))
    names = [path.name for path in Path(spool.state).iterdir() if b"project-x" in path.read_bytes()]
    assert names == ["exports.jsonl"]
    assert batches(spool)[0].endpoint is None
    erase(spool)
    assert not os.path.exists(made.path)


# --- the list of exported files


def listed(home: Home) -> list[str]:
    return [os.path.basename(file.path) for file in export_files.read_list(home)]


def test_the_list_is_limited_and_readable_only_by_its_owner(
    spool: Home, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "MAX_LISTED", 3)
    for name in "abcd":
        export_one(spool, stick / f"{name}.jsonl", "run-check")
    assert listed(spool) == ["b.jsonl", "c.jsonl", "d.jsonl"]
    assert os.name == "nt" or os.stat(os.path.join(spool.state, "exports.jsonl")).st_mode & 0o777 == 0o600
    list(export(spool, str(stick / "d.jsonl"), again=False))
    assert listed(spool) == ["b.jsonl", "c.jsonl", "d.jsonl"]


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", "no json", '["a", "b"]', "[1, 2, 3]", '["a", "b\u0000", "c"]', "�" * 9, "[" * 9999]
)
def test_a_damaged_line_of_the_list_does_not_hide_other_lines(spool: Home, stick: Path, line: str) -> None:
    first = export_one(spool, stick / "a.jsonl", "run-check")
    with open(os.path.join(spool.state, "exports.jsonl"), "ab") as file:
        file.write(line.encode() + b"\n")
    second = export_one(spool, stick / "b.jsonl", "run-suite")
    assert listed(spool) == ["a.jsonl", "b.jsonl"]
    erase(spool)
    assert [path for path in (first, second) if path.exists()] == []


def test_a_part_file_that_cannot_be_removed_stays_listed_and_is_reported(spool: Home, stick: Path) -> None:
    first = export_one(spool, stick / "a.jsonl", "run-check")
    (old,) = export_files.read_list(spool)
    os.mkdir(old.part)  # a directory, which cannot be removed as a file
    list(export(spool, str(first), again=True))
    new = export_files.read_list(spool)[-1]
    assert export_files.read_list(spool) == [old, new]
    assert erase(spool).exports_left == (old.part,)
    assert os.listdir(stick) == [os.path.basename(old.part)]


def test_if_the_list_cannot_be_read_nothing_is_exported_and_disable_reports_it(spool: Home, stick: Path) -> None:
    path = Path(spool.state, "exports.jsonl")
    path.mkdir(mode=0o700)
    with pytest.raises(Unusable, match="the list of exports"):
        list(export(spool, str(stick)))
    assert (os.listdir(stick), accounts(spool).exported) == ([], 0)
    erased = erase(spool)
    assert (erased.exports_left, erased.before.recorded, read_accounts(spool).recorded) == ((str(path),), 3, 0)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can remove any file")
def test_a_file_that_cannot_be_removed_is_reported(spool: Home, exported_file: Path) -> None:
    exported_file.parent.chmod(0o500)
    try:
        assert erase(spool).exports_left == (str(exported_file),)
    finally:
        exported_file.parent.chmod(0o700)


def test_disable_finds_a_path_that_is_not_utf_8(spool: Home, stick: Path) -> None:
    directory = f"{stick}{os.sep}\udcff\udcfe"  # on POSIX the bytes 0xff and 0xfe, as os.fsdecode() returns them
    try:
        os.mkdir(directory)
    except (OSError, UnicodeError):
        pytest.skip("this file system does not allow such names")
    list(export(spool, directory))
    assert len(os.listdir(directory)) == 1
    erase(spool)
    assert os.listdir(directory) == []


# --- the delivery ledger


def test_after_a_test_collector_the_real_one_still_gets_everything(
    exported_file: Path, receiver: "Receiver", tmp_path: Path
) -> None:
    requests, ledger = read_file(str(exported_file)), str(tmp_path / "ledger.db")
    real = receiver.endpoint
    for endpoint in (real._replace(url=real.url.replace("/v1/logs", "/test/v1/logs")), real):
        (first,) = deliver(requests, endpoint, ledger)
        (again,) = deliver(requests, endpoint, ledger)
        assert (first.outcome.reason, again.outcome.reason) == ("delivered", "already delivered")
    assert [request.path for request in receiver.requests] == ["/test/v1/logs", "/v1/logs"]


def test_the_ledger_recognises_a_receiver_however_its_host_is_written(exported_file: Path, tmp_path: Path) -> None:
    requests, ledger = read_file(str(exported_file)), str(tmp_path / "ledger.db")
    sent: list[str] = []

    def post(endpoint: Endpoint, _: bytes) -> Response:
        sent.append(endpoint.url)
        return Response(200, {}, b"{}")

    for url in ("https://Collector.example.org/v1/logs", "https://collector.example.org:443/v1/logs"):
        list(deliver(requests, Endpoint(url, "a test"), ledger, post=post))
    for url in ("https://collector.example.org:4318/v1/logs", "http://collector.example.org/v1/logs"):
        list(deliver(requests, Endpoint(url, "a test"), ledger, post=post))
    assert len(sent) == 3
    assert not [url for url in sent if url.encode() in Path(ledger).read_bytes()]


def test_disable_removes_the_delivery_ledger(spool: Home, exported_file: Path, receiver: "Receiver") -> None:
    ledger = export_files.find_ledger(spool)
    list(deliver(read_file(str(exported_file)), receiver.endpoint, ledger))
    assert os.path.exists(ledger)
    exported_file.unlink()
    erased = erase(spool)
    assert (os.path.exists(ledger), len(erased.removed), erased.exports_left) == (False, 1, (str(exported_file),))


def test_disable_reports_a_delivery_ledger_that_is_in_use(
    spool: Home, exported_file: Path, receiver: "Receiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_files, "LEDGER_LOCK_S", 0.05)
    ledger = export_files.find_ledger(spool)
    delivering = deliver(read_file(str(exported_file)), receiver.endpoint, ledger)
    next(delivering)
    assert ledger in erase(spool).exports_left
    assert list(delivering) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the URL of a directory is different on Windows")
def test_a_rejection_in_a_receipt_is_final(spool: Home, exported_file: Path) -> None:
    (batch,) = batches(spool)
    assert changed(spool, [Entry(batch.sha256, REJECTED, 2)]) == [True]
    assert (accounts(spool).rejected, accounts(spool).delivered) == (3, 0)
