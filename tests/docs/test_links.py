"""Every relative link in a document leads to a file, and to a heading where it names one."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """Answer the targets within this checkout: neither a URL nor an example in a code block."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """Answer the headings' names as GitHub writes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Answer the links of a page that lead nowhere."""
    lost = []
    for target in links(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            lost.append(target)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_every_link_of_a_page_has_a_target(page: Path) -> None:
    assert broken(page) == []


def test_a_missing_file_and_a_missing_heading_are_found_and_an_example_is_ignored(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The `two` commands\n[a](gone.md) [b](#gone) [c](page.md#the-two-commands) [d](https://x.invalid/y)\n"
        "```\n[e](example.md)\n# no heading\n```\n[f](#no-heading)\n"
    )
    assert broken(page) == ["gone.md", "#gone", "#no-heading"]
