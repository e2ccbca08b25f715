"""Exported files become the same rows as requests, whatever other files are in their directory."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.collector import CollectorError, Loaded, load, loader, report
from deepchecks_telemetry.collector.store import Store

Build = Callable[..., Any]


def written(path: Path, *requests: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return path


def test_a_directory_of_exported_files_counts_each_row_once(tmp_path: Path, record: Build, request_of: Build) -> None:
    first, second, third = (request_of(record(), record("run-suite")) for _ in range(3))
    folder = tmp_path / "usb"
    written(folder / "a.jsonl", first, second)
    written(folder / "deep" / "b.json", second, third)
    written(folder / ".c.jsonl", request_of(record()))
    written(folder / "notes.txt", "not a request")
    assert load(tmp_path / "store.db", [folder]) == Loaded(2, 6, 2, 0, ())
    assert load(tmp_path / "store.db", [folder / "a.jsonl"]) == Loaded(1, 0, 4, 0, ())
    assert report(tmp_path / "store.db").rows == 6


def test_an_invalid_line_is_reported_and_the_others_are_loaded(
    tmp_path: Path, record: Build, request_of: Build
) -> None:
    good = json.dumps(request_of(record(), {**record(), "eventName": "x"}))
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{\n\n" + good.encode() + b"\r\n[]\n" + json.dumps(request_of(record())).encode())
    loaded = load(tmp_path / "store.db", [file])
    assert loaded[:4] == (1, 2, 0, 1)
    assert loaded.problems == (
        "a.jsonl, line 1: The body is not JSON in UTF-8.",
        "a.jsonl, line 3: resourceLogs[0], log record 1: eventName is not in the catalogue",
        "a.jsonl, line 4: The body is not an ExportLogsServiceRequest.",
    )


def test_a_line_is_read_only_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_LINE_BYTES", 100)
    (tmp_path / "a.jsonl").write_text(" " * 1000)
    with pytest.raises(CollectorError, match="line 1 is longer than 100 bytes"):
        load(tmp_path / "store.db", [tmp_path / "a.jsonl"])


def test_a_missing_file_and_a_store_in_use_are_reported(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="cannot be read"):
        load(tmp_path / "store.db", [tmp_path / "gone.jsonl"])
    with closing(Store(tmp_path / "store.db")), pytest.raises(CollectorError, match="in use by another"):
        load(tmp_path / "store.db", [tmp_path])
