"""Every file, folder and test that a page names in backticks exists, so a rename cannot leave an old name in a page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
PACKAGES = ("spool", "uploader", "hooks", "collector", "cli")
FOLDERS = (*PACKAGES, "tests", "docs", "benchmarks", "requirements")
# A path below one of the top folders, or a module below any folder but deepchecks' own; then perhaps a test.
IN_FOLDER = rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*"
MODULE = r"(?!deepchecks/)[\w-][\w./-]*/\w+\.py"
NAME = re.compile(rf"`({IN_FOLDER}|{MODULE})(?:::(\w+))?`")


def find_paths(name: str) -> list[Path]:
    """The paths of a name; `spool/db` is short for `spool/deepchecks_telemetry/spool/db`."""
    patterns = (name, *(f"{package}/deepchecks_telemetry/{name}" for package in PACKAGES))
    return [path for pattern in patterns for path in CHECKOUT.glob(pattern.rstrip("/"))]


def has_test(path: Path, test: str) -> bool:
    """Whether a module has a test function of that name."""
    return bool(re.search(rf"^(async )?def {test}\(", path.read_text("utf-8"), re.MULTILINE))


def wrong_names(text: str) -> Iterator[str]:
    """The names in backticks that belong to no file, folder or test."""
    for name, test in NAME.findall(text):
        paths = find_paths(name)
        if not paths or (test and not any(has_test(path, test) for path in paths)):
            yield f"{name}::{test}" if test else name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_every_file_and_test_that_a_page_names_exists(page: Path) -> None:
    assert list(wrong_names(page.read_text("utf-8"))) == []


def test_a_wrong_name_is_found_in_each_form() -> None:
    right = ["spool/db/origin.py", "spool/files/", "docs/spool.md", "tests/docs/test_*.py", "deepchecks/base.py"]
    this_test = "tests/docs/test_names.py::test_a_wrong_name_is_found_in_each_form"
    users = ["state/spool.db", "/etc/x.py"]  # no files of the repository
    wrong = [
        "spool/db/place.py",
        "uploader/wires/",
        "docs/gone.md",
        "plan/decision.py",
        "tests/docs/no*.py",
        f"{this_test}s",
    ]
    assert list(wrong_names(" ".join(f"`{name}`" for name in [*right, this_test, *users, *wrong]))) == wrong
