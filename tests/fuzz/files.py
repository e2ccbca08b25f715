"""Properties of each file that we read, with any content: a target returns what happened to the input, or raises.

The rules are written independently of the code, so that both would have to be wrong in the same way.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from deepchecks_telemetry.spool.batches.seal import Row
from deepchecks_telemetry.spool.catalogue import EVENT_NUMBERS, FIELDS, Environment
from deepchecks_telemetry.spool.consent.decision import MAX_MODE_BYTES, decide
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint, BadFile
from deepchecks_telemetry.uploader.offline.bundle import read_file
from deepchecks_telemetry.uploader.offline.receipt import FORMAT, read, to_bytes
from deepchecks_telemetry.uploader.wire.otlp import render
from deepchecks_telemetry.uploader.wire.outcome import DELIVERED, REJECTED
from deepchecks_telemetry.uploader.wire.url import parse

REFUSED, TAKEN = "refused", "taken"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
RELEASE = r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?|unknown"
VALUE = re.compile("|".join(["-?[0-9]{1,4300}", UUID, RELEASE, *(field.pattern for field in FIELDS)]))
INSTALLATION = "0b6ee9b4-1f59-4a0e-9f0e-000000000001"
PLACE = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
ROWS = [Row("0b6ee9b4-1f59-4a0e-9f0e-000000000002", 20_000, "run-check", PLACE, 35)]
NAMED = {
    *("resourceLogs", "resource", "scopeLogs", "scope", "name", "version", "logRecords", "attributes", "key", "value"),
    *("stringValue", "intValue", "eventName", "timeUnixNano", "log.record.uid", "deepchecks.event.count"),
    *("service.name", "app.installation.id", "deepchecks", "deepchecks_telemetry"),
    *(field.wire for field in FIELDS),
    *(f"deepchecks.{name}" for name in EVENT_NUMBERS),
}


def settings(folder: Path, data: bytes) -> str:
    """Three files, with a zero byte between them: the administrator's mode, the user's, the user's endpoint."""
    policy, choice, endpoint = (*data.split(b"\0", 2), b"", b"")[:3]
    home = Home(str(folder / "state"), str(folder / "config"), str(folder / "policy"))
    for path, content in ((home.policy_mode, policy), (home.mode, choice), (f"{home.config}/endpoint", endpoint)):
        Path(path).parent.mkdir(0o700, exist_ok=True)
        Path(path).write_bytes(content)
    words = {_word(content) for content in (policy, choice)}
    mode = decide(home, {}).mode
    assert mode == ("off" if words - {"on", "local"} else "local" if "local" in words else "on")
    try:
        found = find_endpoint(home, environ={})
    except BadEndpoint as refusal:
        _check_sentence(str(refusal))
        return f"{mode}-{REFUSED}"
    if found:
        _check_endpoint(found, allow_http=b"allow-http" in endpoint)
    return f"{mode}-{TAKEN if found else 'nowhere'}"


def _word(content: bytes) -> str:
    """The word in a mode file; an invalid one if the file is too long to be read."""
    return content.decode("ascii", "replace").strip().lower() if len(content) <= MAX_MODE_BYTES else "too long"


def _check_sentence(sentence: str) -> None:
    """Check that an error message repeats nothing of a file but its name."""
    assert re.fullmatch(r"[A-Za-z0-9 ,;:./()_'-]{10,250}", sentence)


def _check_endpoint(endpoint: Endpoint, *, allow_http: bool) -> None:
    """Check that requests would go to this endpoint and nowhere else, with properly terminated headers."""
    url = urlsplit(endpoint.url)
    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert not {" ", "?", "#"} & set(endpoint.url)
    assert "@" not in url.netloc
    assert parse(endpoint.url, allow_http=True) == endpoint.url
    assert all(
        f"{name}{value}".isascii() and f"{name}{value}".isprintable() for name, value in endpoint.headers.items()
    )
    if url.scheme == "file":
        assert endpoint.folder is not None
        assert "\0" not in endpoint.folder
        return
    assert url.scheme in {"https", "http"}
    assert url.path.endswith("/v1/logs")
    try:
        prepared = requests.Request("POST", endpoint.url, headers=endpoint.headers).prepare()
    except (requests.RequestException, ValueError):  # then never sent
        return
    assert url.scheme == "https" or allow_http or parse(str(prepared.url)) == prepared.url
    assert (urlsplit(str(prepared.url)).hostname or "?") in endpoint.url.lower()


def courier(folder: Path, data: bytes) -> str:
    """An exported file; by its first letter it has the right digest in its name, another one, or none.

    `7:…` is the file that we would write, except for its value 7 (from 0), which is what follows the colon.
    """
    content = data[1:] if data[:1] in (b"=", b"!") else _edited(data)
    digest = hashlib.sha256(content if data[:1] == b"=" else data).hexdigest()[:16]
    path = folder / (f"deepchecks-telemetry-{digest}.jsonl" if data[:1] in (b"=", b"!") else "counts.jsonl")
    path.write_bytes(content)
    try:
        taken = read_file(str(path))
    except BadFile as refusal:
        _check_sentence(str(refusal))
        return REFUSED
    finally:
        path.unlink()
    assert data[:1] != b"!"
    assert b"".join(request.body + b"\n" for request in taken) == content
    for request in taken:
        body = json.loads(request.body)
        assert not [text for text in _leaves(body) if text not in NAMED and not VALUE.fullmatch(text)]
        records = [log for group in body["resourceLogs"] for scope in group["scopeLogs"] for log in scope["logRecords"]]
        counts = [int(log["attributes"][1]["value"]["intValue"]) for log in records]
        assert min(counts) > 0
        assert (request.rows, request.events) == (len(counts), sum(counts))
        assert request.sha256 == hashlib.sha256(request.body).hexdigest()
    return TAKEN


def _edited(data: bytes) -> bytes:
    number, mark, value = data.partition(b":")
    if not mark or not re.fullmatch(rb"[0-9]{1,3}", number):
        return data
    request = json.loads(render(INSTALLATION, ROWS))
    positions = list(_positions(request))
    inside, key = positions[int(number) % len(positions)]
    inside[key] = "?"
    return json.dumps(request, separators=(",", ":")).encode().replace(b'"?"', value) + b"\n"


def _positions(value: Any) -> Iterator[tuple[Any, Any]]:
    """The position of each value in a request: its container, and its key there."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _positions(value[key])


def _leaves(value: Any) -> Iterator[str]:
    """Every text in a request, including keys; our requests contain no other JSON type."""
    assert isinstance(value, dict | list | str)
    if isinstance(value, str):
        yield value
    else:
        for inner in chain(value, value.values()) if isinstance(value, dict) else value:
            yield from _leaves(inner)


def receipt(folder: Path, data: bytes) -> str:
    """A receipt; an input that begins with `=` is only its batches, and the checksum is added."""
    content = _checked(data[1:]) if data[:1] == b"=" else data
    path = folder / "receipt.json"
    path.write_bytes(content)
    try:
        entries = read(str(path))
    except BadFile as refusal:
        _check_sentence(str(refusal))
        return REFUSED
    assert all(re.fullmatch("[0-9a-f]{64}", entry.sha256) for entry in entries)
    assert all(type(entry.rejected_rows) is int and entry.rejected_rows >= 0 for entry in entries)
    assert {entry.outcome for entry in entries} <= {DELIVERED, REJECTED}
    path.write_bytes(to_bytes(entries))
    assert read(str(path)) == entries
    return TAKEN


def _checked(batches: bytes) -> bytes:
    try:
        compact = json.dumps(json.loads(batches), separators=(",", ":"))
    except (ValueError, RecursionError):
        compact = ""
    check = hashlib.sha256(compact.encode()).hexdigest()
    return b'{"format":"%b","batches":%b,"check":"%b"}' % (FORMAT.encode(), batches, check.encode())
