"""docs/threat-model.md: each test that it names is there, and each defence that it claims can be seen to be missed."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "threat-model.md").read_text("utf-8")
TABLES = sorted((CHECKOUT / "tests" / "campaigns" / "defences").glob("*.toml"))
HEAD = ["threat", "actor", "what we do", "what we do not", "test"]
NONE = "nothing to take away: "  # and why, in a row whose defence is that something is not done at all
TEST = re.compile(r"tests/[\w/]+\.py::\w+")


class Row(NamedTuple):
    """One threat of the page."""

    threat: str
    actor: str
    defence: str
    limit: str
    tests: str


def rows() -> list[Row]:
    """The rows of every table with the page's five columns."""
    found, wanted = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        wanted = cells == HEAD or (wanted and bool(cells))
        if wanted and cells != HEAD and not set(line) <= set("|-"):
            assert len(cells) == len(HEAD), line
            found.append(Row(*cells))
    return found


def missed() -> set[str]:
    """The tests that fail when a defence is taken away, without their parameters."""
    text = "".join(table.read_text("utf-8") for table in TABLES)
    return {found for line in text.splitlines() if line.startswith("test = ") for found in TEST.findall(line)}


NAMED = sorted({test for row in rows() for test in TEST.findall(row.tests)})


def test_the_page_has_its_rows() -> None:
    assert len(rows()) > 15
    assert len(NAMED) > 30


@pytest.mark.parametrize("test", NAMED)
def test_every_test_that_the_page_names_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (CHECKOUT / path).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.threat[:40])
def test_every_row_has_an_actor_a_defence_and_a_test_that_fails_without_it(row: Row) -> None:
    assert row.actor
    assert row.defence
    assert NONE in row.tests or missed() & set(TEST.findall(row.tests))
