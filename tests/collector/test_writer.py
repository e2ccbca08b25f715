"""Requests that wait together are stored in one transaction, and each gets the result of its own body."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.collector import report
from deepchecks_telemetry.collector.codec import JSON
from deepchecks_telemetry.collector.errors import RequestError, StoreError
from deepchecks_telemetry.collector.otlp import Decoded, Row, utc_today
from deepchecks_telemetry.collector.server import writer as writer_module
from deepchecks_telemetry.collector.server.writer import Writer
from deepchecks_telemetry.collector.store import Store

Build = Callable[..., Any]


class CountedStore(Store):
    """A store that records the size of each batch, and fails where it is asked to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches: list[int] = []
        self.fails = False

    def append(self, rows: Sequence[Row], *, received: date) -> int:
        self.batches.append(len(rows))
        if self.fails:
            raise StoreError("the disk is full")
        return super().append(rows, received=received)


def accept_all(store: Store, bodies: list[bytes]) -> list[Decoded | BaseException]:
    async def run() -> list[Decoded | BaseException]:
        writer = Writer(store, utc_today)
        accepted = (writer.accept(body, "identity", JSON) for body in bodies)
        return await asyncio.gather(*accepted, return_exceptions=True)

    return asyncio.run(run())


def test_waiting_requests_share_a_transaction_and_each_gets_its_own_result(
    tmp_path: Path, record: Build, request_of: Build
) -> None:
    bodies = [json.dumps(request_of(*[record()] * 1, record("run-suite"))).encode() for _ in range(20)]
    bodies[7] = b"not JSON"
    bodies[9] = json.dumps(request_of(record("no-such-event"), record())).encode()
    with closing(CountedStore(tmp_path / "store.db")) as store:
        results = accept_all(store, bodies)
        assert sum(store.batches) == 18 * 2 + 1
        assert len(store.batches) <= 2
    assert isinstance(results[7], RequestError)
    assert [r.rejected for r in results if isinstance(r, Decoded)] == [int(number == 8) for number in range(19)]
    assert report(tmp_path / "store.db").rows == 37


def test_a_transaction_is_limited_in_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Build, request_of: Build
) -> None:
    monkeypatch.setattr(writer_module, "MAX_BATCH_ROWS", 5)
    bodies = [json.dumps(request_of(record(), record())).encode() for _ in range(9)]
    with closing(CountedStore(tmp_path / "store.db")) as store:
        assert all(isinstance(result, Decoded) for result in accept_all(store, bodies))
        assert max(store.batches) == 6
    assert report(tmp_path / "store.db").rows == 18


def test_if_the_rows_cannot_be_stored_each_request_of_the_transaction_fails(
    tmp_path: Path, record: Build, request_of: Build
) -> None:
    bodies = [json.dumps(request_of(record())).encode() for _ in range(5)]
    with closing(CountedStore(tmp_path / "store.db")) as store:
        store.fails = True
        assert [type(result) for result in accept_all(store, bodies)] == [StoreError] * 5
        store.fails = False
        assert all(isinstance(result, Decoded) for result in accept_all(store, bodies))
    assert report(tmp_path / "store.db").rows == 5


def test_an_unexpected_error_acknowledges_no_row_that_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Build, request_of: Build
) -> None:
    bodies = [json.dumps(request_of(record())).encode() for _ in range(5)]

    def fail_once(*arguments: Any, **more: Any) -> Decoded:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(writer_module, "read", fail_once)
    with closing(CountedStore(tmp_path / "store.db")) as store:
        results = accept_all(store, bodies)
    assert any(isinstance(result, ZeroDivisionError) for result in results)
    assert report(tmp_path / "store.db").rows == sum(isinstance(result, Decoded) for result in results)
