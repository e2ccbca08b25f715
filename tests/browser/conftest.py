"""Fixtures: a browser (Debian's Chromium) and pages that the command wrote; without a browser, tests are skipped."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Tool = Callable[[str], str]
Write = Callable[[], Path]
Show = Callable[..., "Page"]

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def deepchecks(*arguments: str) -> str:
    command = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def status() -> Callable[[], dict[str, Any]]:
    """The report of `status --json`."""
    return lambda: dict(json.loads(deepchecks("status", "--json")))


@pytest.fixture
def fill(home: Path) -> Callable[[int], None]:
    """Fill the spool with this many days of counts."""

    def fill_days(number: int) -> None:
        script = "from deepchecks_telemetry.spool import record; assert record('run-check')"
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
        with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as connection:
            (today,) = connection.execute("SELECT max(day) FROM events").fetchone()
            counts = [(today - day, 1 + day % 7, 1, 1 + day % 11) for day in range(number)]
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO folded VALUES (?, ?, ?, ?)", counts)
            total = sum(count for *_, count in counts)
            connection.execute(
                "INSERT INTO tallies VALUES ('recovered', ?1) ON CONFLICT DO UPDATE SET count = count + ?1", (total,)
            )
            connection.execute("COMMIT")

    return fill_days


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the page with `view`."""

    def page() -> Path:
        path = tmp_path / "view.html"
        deepchecks("view", "--output", str(path))
        return path

    return page


@pytest.fixture
def browser(tool: Tool) -> Iterator["Browser"]:
    """The browser."""
    if os.environ.get("GATE") is None:
        pytest.importorskip("playwright", reason="playwright is not installed here; the session `browser` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=tool("chromium"), args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: "Browser") -> Iterator[Show]:
    """Open a page; any request besides the page, and any message, fails the test."""
    requested: list[str] = []
    messages: list[str] = []

    def open_page(path: Path, *, watched: bool = True, **context: Any) -> "Page":
        page = browser.new_context(**context).new_page()
        if watched:
            page.on("request", lambda request: requested.append(request.url))
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    assert {url.partition("#")[0].rpartition("/")[2] for url in requested} <= {"view.html", "notebook.html", "srcdoc"}
    assert [text for text in messages if "axe" not in text] == []


@pytest.fixture
def axe(tool: Tool) -> str:
    """The source of axe-core, from npm's global directory."""
    root = subprocess.run([tool("npm"), "root", "--global"], capture_output=True, text=True, timeout=60, check=True)
    path = Path(root.stdout.strip(), "axe-core", "axe.min.js")
    if not path.is_file():
        reason = "axe-core is not installed here; install it with npm install --global axe-core"
        (pytest.fail if os.environ.get("GATE") else pytest.skip)(reason)
    return path.read_text("utf-8")
