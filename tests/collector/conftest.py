"""Shared by the collector's tests: requests like those of our uploader, and a real collector on loopback."""

import copy
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from tests.collector.messages import RESOURCE

from deepchecks_telemetry.collector import running


def _pairs(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _record(
    event: str = "run-check", count: object = "35", days_ago: int = 0, uid: str | None = None
) -> dict[str, Any]:
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    return {
        "timeUnixNano": str(int(midnight.timestamp()) * 10**9),
        "observedTimeUnixNano": str(int(midnight.timestamp()) * 10**9),
        "eventName": f"deepchecks.{event}",
        "attributes": [
            {"key": "log.record.uid", "value": {"stringValue": uid or str(uuid.uuid4())}},
            {"key": "deepchecks.event.count", "value": {"intValue": count}},
        ],
    }


def _request(*records: dict[str, Any], **changes: str) -> dict[str, Any]:
    """A request of one environment; a change of `os.name` is given as `os_name`."""
    values = {**RESOURCE, **{key.replace("_", "."): value for key, value in changes.items()}}
    scope = {"name": "deepchecks_telemetry", "version": "0.1.0"}
    log_records = copy.deepcopy(list(records))
    return {
        "resourceLogs": [
            {"resource": {"attributes": _pairs(values)}, "scopeLogs": [{"scope": scope, "logRecords": log_records}]}
        ]
    }


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    return _record


@pytest.fixture(scope="session")
def request_of() -> Callable[..., dict[str, Any]]:
    return _request


class Collector(NamedTuple):
    """A collector in its own process, and a session for requests to it."""

    url: str
    store: Path
    session: requests.Session

    def post(self, body: object, **headers: str) -> requests.Response:
        """Post bytes unchanged, anything else as JSON; the header Content-Encoding is given as `content_encoding`."""
        all_headers = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if isinstance(body, bytes):
            return self.session.post(f"{self.url}/v1/logs", data=body, headers=all_headers, timeout=20)
        return self.session.post(f"{self.url}/v1/logs", json=body, headers=all_headers, timeout=20)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    store = tmp_path_factory.mktemp("collector") / "store.db"
    with running(store) as url, requests.Session() as session:
        session.trust_env = False
        yield Collector(url, store, session)
