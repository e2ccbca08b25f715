"""Every relative link in a document has a target file, and a heading if it names one."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """The link targets within the repository: no URLs, and no examples in code blocks."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub generates for the headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page that have no target."""
    missing = []
    for target in links(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            missing.append(target)
    return missing


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
