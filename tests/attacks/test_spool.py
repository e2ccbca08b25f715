"""Edited values and requests in a spool are not sent; the other counts are.

Free text in an environment: tests/spool/batches/test_seal.py. How any value is printed: tests/cli/test_hostile.py.
"""

import gzip
import hashlib
import json
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.show.sent import echo_body
from deepchecks_telemetry.spool.batches.ledger import batches, mark_attempt
from deepchecks_telemetry.spool.batches.seal import YEAR, seal
from deepchecks_telemetry.spool.consent import resource
from deepchecks_telemetry.spool.errors import Damaged
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recording.watch import FIRST_DAY, today
from deepchecks_telemetry.spool.stats import read_accounts
from deepchecks_telemetry.spool.wipe import erase
from deepchecks_telemetry.uploader.endpoint import Endpoint
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.offline.export import export
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import Response

pytestmark = pytest.mark.timeout(60)
Sql = Callable[..., list[Any]]
SECRET = "acme-secret-project"


def sealed(dirs: Home) -> list[dict[str, Any]]:
    """The records of the next request, with its installation id."""
    assert seal(dirs, render)
    (batch,) = batches(dirs)
    assert SECRET.encode() not in batch.body
    found: list[dict[str, Any]] = json.loads(batch.body)["resourceLogs"]
    return found


def installation(resource_logs: list[dict[str, Any]]) -> str:
    texts = {pair["key"]: pair["value"]["stringValue"] for pair in resource_logs[0]["resource"]["attributes"]}
    return str(texts["app.installation.id"])


@pytest.mark.parametrize("text", [SECRET, "", "0" * 36, f"{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{SECRET[:12]}"])
def test_an_id_that_is_not_a_uuid_is_replaced_before_sending(text: str, dirs: Home, sql: Sql) -> None:
    sql("UPDATE spool SET installation = ?", text)
    new_id = installation(sealed(dirs))
    assert new_id != text
    assert new_id == read_accounts(dirs).installation_id
    assert [len(part) for part in new_id.split("-")] == [8, 4, 4, 4, 12]


HIDDEN = int.from_bytes(b"acme-co", "big")


@pytest.mark.parametrize(
    ("column", "value"), [("day", HIDDEN), ("day", -1), ("day", 2**16), ("count", HIDDEN), ("count", 0), ("count", -5)]
)
def test_a_number_that_could_be_text_is_dropped(column: str, value: int, dirs: Home, sql: Sql) -> None:
    row = {"day": FIRST_DAY, "event": 3, "environment": 1, "count": 1} | {column: value}
    sql("INSERT INTO folded VALUES (?, ?, ?, ?)", *row.values())
    records = [record for group in sealed(dirs) for record in group["scopeLogs"][0]["logRecords"]]
    assert sorted(record["attributes"][1]["value"]["intValue"] for record in records) == ["1", "2"]
    assert sql("SELECT count(*) FROM folded") == [(0,)]


def test_a_changed_request_is_parked_and_not_sent(dirs: Home, sql: Sql) -> None:
    sealed(dirs)
    sql("UPDATE batches SET packed = ?", gzip.compress(SECRET.encode()))
    (batch,) = batches(dirs)
    assert mark_attempt(dirs, batch, "https://receiver.example.org/v1/logs") is False
    (parked,) = batches(dirs)
    assert (parked.state, parked.outcome, parked.attempts) == ("parked", "its bytes were changed", 0)
    assert recording.record("run-check")
    assert seal(dirs, render)  # later ones are sent
    assert read_accounts(dirs).balance == 0


@pytest.mark.parametrize(
    "change",
    [(b'"script"', b'"acme-secret-project"'), (b"{", b'{"acme-secret-project":1,'), (b"}", b"} ")],
    ids=["a value", "a key", "a blank"],
)
def test_a_request_changed_with_its_digest_is_not_sent(change: tuple[bytes, bytes], dirs: Home, sql: Sql) -> None:
    sealed(dirs)
    runtime = f'"{resource.current().runtime}"'.encode()
    body = batches(dirs)[0].body.replace(runtime, b'"script"').replace(*change, 1)
    sql("UPDATE batches SET packed = ?, sha256 = ?", gzip.compress(body), hashlib.sha256(body).hexdigest())
    posted: list[bytes] = []

    def post(_: Endpoint, packed: bytes) -> Response:
        posted.append(packed)
        return Response(200, {}, b"{}")

    assert recording.record("run-check")
    results = list(flush(dirs, Endpoint("https://receiver.example.org/v1/logs", "a test"), post=post))
    assert [sent.outcome.kind for sent in results] == ["parked", "delivered"]
    assert len(posted) == 1
    assert SECRET.encode() not in gzip.decompress(posted[0])


def test_a_changed_request_is_not_exported(dirs: Home, sql: Sql, tmp_path: Path) -> None:
    sealed(dirs)
    sql("UPDATE batches SET packed = ?", gzip.compress(SECRET.encode()))
    (tmp_path / "stick").mkdir()
    assert list(export(dirs, str(tmp_path / "stick"))) == []
    assert list((tmp_path / "stick").iterdir()) == []
    assert [batch.state for batch in batches(dirs)] == ["parked"]


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(b"{}", mtime=0), "text", None],
    ids=["empty", "none", "another", "text", "null"],
)
def test_bytes_that_are_not_a_request_are_damage(packed: object, dirs: Home, sql: Sql) -> None:
    sealed(dirs)
    sql("UPDATE batches SET packed = ?", packed)
    with pytest.raises(Damaged):
        _ = batches(dirs)[0].body


def test_a_gzip_bomb_is_not_decompressed(dirs: Home, sql: Sql) -> None:
    sealed(dirs)
    bomb = gzip.compress(bytes(64 * 2**20), compresslevel=1)
    sql("UPDATE batches SET packed = ?", bomb)
    (batch,) = batches(dirs)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged):
            _ = batch.body
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b"\x1b[2J", "\u202e".encode(), b"\xff"], ids=["escape", "right to left", "no text"])
def test_terminal_control_bytes_are_not_printed(
    body: bytes, dirs: Home, sql: Sql, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed(dirs)
    sql("UPDATE batches SET packed = ?, sha256 = ?", gzip.compress(body), hashlib.sha256(body).hexdigest())
    with pytest.raises(CliError, match="not a valid request"):
        echo_body(batches(dirs)[0])
    assert capsys.readouterr().out == ""


def day(dirs: Home) -> int:
    with closing(sqlite3.connect(dirs.spool)) as connection:
        (found,) = connection.execute("SELECT installed_day FROM spool").fetchone()
        return int(found)


@pytest.mark.parametrize("away", [YEAR, YEAR + 400, -YEAR, 50_000])
def test_after_a_year_the_installation_has_a_new_id(away: int, dirs: Home, sql: Sql) -> None:
    first = read_accounts(dirs).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - away)
    new_id = installation(sealed(dirs))
    assert new_id != first
    assert (read_accounts(dirs).installation_id, day(dirs)) == (new_id, today())


@pytest.mark.parametrize("away", [0, 1, YEAR - 1, -1])
def test_within_a_year_the_installation_keeps_its_id(away: int, dirs: Home, sql: Sql) -> None:
    first = read_accounts(dirs).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - away)
    assert installation(sealed(dirs)) == first
    assert day(dirs) == today() - away


def test_a_sealed_batch_keeps_its_id_and_bytes(dirs: Home, sql: Sql) -> None:
    first = installation(sealed(dirs))
    (before,) = batches(dirs)
    assert recording.record("run-check")
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(dirs, render, while_unsent=True)
    older, newer = batches(dirs)
    assert older == before
    assert installation(json.loads(newer.body)["resourceLogs"]) != first
    assert first.encode() not in newer.body


def test_without_a_new_batch_the_id_stays(dirs: Home, sql: Sql) -> None:
    sealed(dirs)
    first = read_accounts(dirs).installation_id
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(dirs, render) is False
    assert read_accounts(dirs).installation_id == first


def test_disable_also_removes_the_second_id(dirs: Home, sql: Sql) -> None:
    first = installation(sealed(dirs))
    assert recording.record("run-check")
    sql("UPDATE spool SET installed_day = ?", today() - YEAR)
    assert seal(dirs, render, while_unsent=True)
    second = read_accounts(dirs).installation_id
    recording.close()
    erase(dirs)
    content = b"".join(path.read_bytes() for path in Path(dirs.state).iterdir())
    assert first.encode() not in content
    assert str(second).encode() not in content
