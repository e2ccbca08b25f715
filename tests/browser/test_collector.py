"""DNS rebinding: a page whose host name resolves to this machine posts to a collector on it; nothing is stored."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deepchecks_telemetry.collector import report, running
from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.flush import seal_next

from .conftest import SWITCHES

# Newer browsers also ask the user before a page reaches this machine; this turns the question off.
DISABLED_FEATURES = "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
POST = {
    "fetch": "body => fetch('/v1/logs', {method: 'POST', headers: {'content-type': 'application/json'}, body})"
    ".then(answer => answer.status)",
    "beacon": "body => navigator.sendBeacon('/v1/logs', new Blob([body], {type: 'application/json'}))",
}


@pytest.mark.parametrize("method", POST)
def test_dns_rebinding_adds_no_count(method: str, tool: Callable[[str], str], tmp_path: Path) -> None:
    if os.environ.get("GATE") is None:
        pytest.importorskip("playwright", reason="playwright is not installed here; the session `browser` installs it")
    from playwright.sync_api import sync_playwright

    assert record("run-check")
    batch = seal_next(find_home())
    assert batch is not None
    rules = ["--host-resolver-rules=MAP evil.example 127.0.0.1", f"--disable-features={DISABLED_FEATURES}"]
    with running(tmp_path / "store.db") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=tool("chromium"), args=[*SWITCHES, *rules])
        page = browser.new_page()
        health = f"http://evil.example:{url.rpartition(':')[2]}/healthz"
        page.goto(health)
        assert json.loads(page.inner_text("body")) == {"status": "ok"}  # the page does reach the collector
        result = page.evaluate(POST[method], batch.body.decode())
        page.goto(health)  # when it has loaded, the beacon has arrived
        browser.close()
        assert result == {"fetch": 403, "beacon": True}[method]
        assert report(tmp_path / "store.db").rows == 0
