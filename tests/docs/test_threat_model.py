"""docs/threat-model.md: each test that it names exists, and for each defence a test fails without it."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "threat-model.md").read_text("utf-8")
TABLES = sorted((CHECKOUT / "tests" / "campaigns" / "defences").glob("*.toml"))
HEAD = ["threat", "actor", "what we do", "what is not prevented", "test"]
NONE = "nothing to take away: "  # with the reason, in a row whose defence is that something is never done
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
    result, in_table = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        in_table = cells == HEAD or (in_table and bool(cells))
        if in_table and cells != HEAD and not set(line) <= set("|-"):
            assert len(cells) == len(HEAD), line
            result.append(Row(*cells))
    return result


def defence_tests() -> set[str]:
    """The tests that fail when a defence is removed, without their parameters."""
    text = "".join(table.read_text("utf-8") for table in TABLES)
    return {test for line in text.splitlines() if line.startswith("test = ") for test in TEST.findall(line)}


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
    assert NONE in row.tests or defence_tests() & set(TEST.findall(row.tests))
