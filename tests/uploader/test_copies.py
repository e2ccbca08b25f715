"""An image, a clone, a backup: whoever receives counts each event once, as its own unpacking of the bodies says."""

import gzip
import json
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


def count(receiver: "Receiver") -> tuple[int, int]:
    """Events, each uid once, and installations, by the bodies that arrived."""
    events: Counter[str] = Counter()
    installations = set()
    for body in receiver.bodies():
        for resource in json.loads(gzip.decompress(body))["resourceLogs"]:
            named = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
            installations.add(named["app.installation.id"]["stringValue"])
            for each in (each for scope in resource["scopeLogs"] for each in scope["logRecords"]):
                told = {attribute["key"]: attribute["value"] for attribute in each["attributes"]}
                events[told["log.record.uid"]["stringValue"]] = int(told["deepchecks.event.count"]["intValue"])
    return events.total(), len(installations)


@pytest.mark.parametrize("at", ["pending", "parked"])
def test_sixty_copies_of_a_spool_send_their_own_events_only(
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
    for number in range(60):
        shutil.copytree(home, tmp_path / str(number))
        monkeypatch.setenv(DIR_VARIABLE, str(tmp_path / str(number)))
        assert record("run-suite")
        close()
        homes.append(find_home())
    for each in homes:
        list(flush(each, receiver.endpoint, parked=True))
    assert count(receiver) == (10 + 60, 61)
