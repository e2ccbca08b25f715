"""Copies of a spool in images, clones and backups: a receiver counts each event once."""

import gzip
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import DIR_VARIABLE, find_home
from deepchecks_telemetry.spool.recording.record import close
from deepchecks_telemetry.uploader.flush import flush
from deepchecks_telemetry.uploader.wire.outcome import Response

if TYPE_CHECKING:
    from tests.uploader.conftest import Receiver

COPIES = 10 if os.name == "nt" else 60  # under Wine each takes almost a second


def count(receiver: "Receiver") -> tuple[int, int]:
    """The number of events, each uid once, and of installations, in the bodies that arrived."""
    events: Counter[str] = Counter()
    installations = set()
    for body in receiver.bodies():
        for resource in json.loads(gzip.decompress(body))["resourceLogs"]:
            about = {pair["key"]: pair["value"] for pair in resource["resource"]["attributes"]}
            installations.add(about["app.installation.id"]["stringValue"])
            for row in (row for scope in resource["scopeLogs"] for row in scope["logRecords"]):
                values = {pair["key"]: pair["value"] for pair in row["attributes"]}
                events[values["log.record.uid"]["stringValue"]] = int(values["deepchecks.event.count"]["intValue"])
    return events.total(), len(installations)


@pytest.mark.parametrize("at", ["pending", "parked"])
def test_copies_of_a_spool_send_only_their_own_events(
    home: Path, receiver: "Receiver", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    assert all(record("run-check") for _ in range(10))
    close()
    if at == "parked":
        receiver.answer = lambda _: Response(413, {}, b"")
        list(flush(find_home(), receiver.endpoint))
        receiver.answer = lambda _: Response(200, {}, b"{}")
        receiver.requests.clear()
    homes = [find_home()]
    for number in range(COPIES):
        shutil.copytree(home, tmp_path / str(number))
        monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / str(number)))
        assert record("run-suite")
        close()
        homes.append(find_home())
    for copy in homes:
        list(flush(copy, receiver.endpoint, parked=True))
    assert count(receiver) == (10 + COPIES, 1 + COPIES)
