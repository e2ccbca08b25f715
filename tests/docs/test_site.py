"""The docs site that `nox -s site` builds is complete, has no broken link, and loads nothing from another host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SITE = Path(os.environ.get("SITE", ""))
pytestmark = pytest.mark.skipif("SITE" not in os.environ, reason="checks the site that `nox -s site` builds")

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
LOADING = {"src", "srcset", "href", "xlink:href", "data", "poster", "background", "manifest"}
LINKING = {"a", "area"}  # load nothing until a person follows them
FOREIGN = re.compile(r"\s*(?:(?!data:)[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s;]*)""", re.IGNORECASE)
IN_SCRIPT = re.compile(r"""["'`]((?:https?:|wss?:)?//[^"'`\s]+)""")
SETTINGS = """
import socket

def setup(app, connect_all=setup):
    connect_all(app)
    socket.create_connection(("127.0.0.1", 9))
"""
NAMESPACE = "http://www.w3.org/"  # a namespace name, which browsers do not load


class Loads(HTMLParser):
    """Collects the addresses on other hosts that a browser loads when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within = tag
        for name, value in attrs:
            if name in LOADING and tag not in LINKING:
                addresses = value.split(",") if value and name == "srcset" else [value or ""]
                self.foreign += [address for address in addresses if FOREIGN.match(address)]
            if name == "style":
                self.foreign += IN_STYLE.findall(value or "")

    def handle_data(self, data: str) -> None:
        if self.within == "style":
            self.foreign += IN_STYLE.findall(data)
        if self.within == "script":
            self.foreign += scripted(data)

    def handle_endtag(self, tag: str) -> None:
        self.within = "" if self.within == tag else self.within


def scripted(text: str) -> list[str]:
    return [address for address in IN_SCRIPT.findall(text) if not address.startswith(NAMESPACE)]


def loads(path: Path) -> list[str]:
    """The addresses on other hosts that a browser would load because of a file of the site."""
    if path.suffix not in {".html", ".css", ".js"}:
        return []
    text = path.read_text("utf-8")
    if path.suffix == ".html":
        page = Loads()
        page.feed(text)
        return page.foreign
    return IN_STYLE.findall(text) if path.suffix == ".css" else scripted(text)


def build(folder: Path, readme: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    """Build a site of two pages with the real settings, followed by more settings."""
    (folder / "docs").mkdir()
    (folder / "docs" / "conf.py").write_text((CHECKOUT / "docs" / "conf.py").read_text("utf-8") + settings, "utf-8")
    (folder / "docs" / "page.md").write_text("# Page\n\n## A heading\n")
    (folder / "README.md").write_text(f"# Home\n\n{readme}\n")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--conf-dir=docs", ".", "html"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)


def test_each_page_of_the_checkout_is_on_the_site() -> None:
    pages = [*PAGES, *(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md"))]
    assert [page for page in pages if not (SITE / page).with_suffix(".html").is_file()] == []
    assert "url=README.html" in (SITE / "index.html").read_text("utf-8")


def test_no_file_of_the_site_loads_anything_from_another_host() -> None:
    files = [path for path in SITE.rglob("*") if path.is_file()]
    assert {".html", ".css", ".js"} <= {path.suffix for path in files}
    assert {path.relative_to(SITE).as_posix(): foreign for path in files if (foreign := loads(path))} == {}


@pytest.mark.parametrize(
    "text",
    [
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
        '<link rel="preconnect" href="//fonts.example.org">',
        '<script src="http://example.org/a.js"></script>',
        '<script>fetch("https://example.org/count")</script>',
        '<img src="a.png" srcset="a.png 1x, https://example.org/a.png 2x">',
        '<svg><use xlink:href="https://example.org/a.svg#b"/></svg>',
        '<style>@import "https://example.org/a.css";</style>',
        '<p style="background: url(//example.org/a.png)">',
    ],
)
def test_a_resource_from_another_host_is_found(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<a href="https://example.org"><img src="data:image/png;base64,AA//"></a>{text}')
    assert len(loads(page)) == 1


@pytest.mark.parametrize(
    ("link", "reported"),
    [
        ("[a](docs/page.md#a-heading) [b](docs/conf.py) [c](docs) [d](https://example.org)", ""),
        ("[a](docs/gone.md)", "'docs/gone.md'"),
        ("[a](docs/page.md#gone)", "'gone'"),
        ("[a](#gone)", "'gone'"),
        ("[a](gone.py)", "'gone.py'"),
        ("![a](gone.png)", "gone.png"),
    ],
)
def test_a_broken_link_fails_the_build(link: str, reported: str, tmp_path: Path) -> None:
    done = build(tmp_path, link)
    assert (done.returncode != 0) == bool(reported), done.stderr
    assert reported in done.stderr


def test_a_build_that_would_use_the_network_fails(tmp_path: Path) -> None:
    done = build(tmp_path, "", SETTINGS)
    assert done.returncode != 0
    assert "must not use the network" in done.stderr
