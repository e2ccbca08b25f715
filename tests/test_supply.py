"""Dependencies are locked by hashes and permissively licensed, and our distributions are built reproducibly."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
ROOMS = ["spool", "uploader", "hooks", "collector", "cli"]
RUNTIME = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["collector"]]
# Each lock by its group; `runtime` is what a user installs, `lowest` the same with the lowest allowed versions.
GROUPS = {path.stem: path.stem for path in sorted((CHECKOUT / "requirements").glob("*.txt"))} | {"lowest": "test"}
TOOLS = {"lint", "supply"}  # which contain no files of the package itself
PINNED = re.compile(r"([a-z0-9-]+)==([a-z0-9.]+)(?: ; ([^\\]+))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
PERMISSIVE = re.compile(r"MIT|BSD|Apache|PSF|ISC|Public Domain|Unlicense")
# MPL-2.0 only requires the source of changed files; this is a list of certificates, and we do not change it.
BY_NAME = {"certifi"}


def lines(lock: str) -> list[str]:
    text = (CHECKOUT / "requirements" / f"{lock}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def pinned(lock: str) -> dict[str, set[str]]:
    """The versions of each package in a lock; there are two if Pythons or systems differ."""
    found: dict[str, set[str]] = {}
    for match in filter(None, map(PINNED.fullmatch, lines(lock))):
        found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


def wanted(lock: str) -> Iterator[Requirement]:
    package_requirements = [] if lock in TOOLS else RUNTIME
    yield from map(Requirement, [*package_requirements, *grouped(GROUPS[lock])])


def grouped(name: str) -> Iterator[str]:
    for entry in PYPROJECT["dependency-groups"].get(name, []):
        yield from [entry] if isinstance(entry, str) else grouped(entry["include-group"])


def test_each_session_without_deepchecks_has_a_lock() -> None:
    stand_on_deepchecks = {"deepchecks", "smoke", "real", "vision"}
    assert set(GROUPS) - {"runtime", "lowest"} == set(PYPROJECT["dependency-groups"]) - stand_on_deepchecks - {"build"}


@pytest.mark.parametrize("lock", GROUPS)
def test_a_lock_has_versions_and_hashes_but_no_index(lock: str) -> None:
    assert [line for line in lines(lock) if not PINNED.fullmatch(line) and not HASH.fullmatch(line)] == []
    assert re.search("://|file:|index", (CHECKOUT / "requirements" / f"{lock}.txt").read_text("utf-8")) is None


@pytest.mark.parametrize("lock", GROUPS)
def test_a_lock_satisfies_pyproject(lock: str) -> None:
    found = pinned(lock)
    missing = [str(requirement) for requirement in wanted(lock) if not found.get(canonicalize_name(requirement.name))]
    foreign = [
        f"{requirement} is locked as {version}"
        for requirement in wanted(lock)
        for version in found.get(canonicalize_name(requirement.name), ())
        if version not in requirement.specifier
    ]
    assert (missing, foreign) == ([], []), "pyproject.toml was changed: nox -s lock"


def test_the_lowest_versions_are_those_of_pyproject() -> None:
    found = pinned("lowest")
    for requirement in map(Requirement, RUNTIME):
        (bound,) = requirement.specifier
        assert bound.operator == ">="
        assert {Version(version) for version in found[canonicalize_name(requirement.name)]} == {Version(bound.version)}


def supplied(name: str, extras: frozenset[str], seen: dict[str, metadata.Distribution]) -> None:
    """All packages that a user of a distribution installs with it."""
    if canonicalize_name(name) in seen:
        return
    seen[canonicalize_name(name)] = metadata.distribution(name)
    for requirement in map(Requirement, metadata.requires(name) or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            supplied(requirement.name, frozenset(requirement.extras), seen)


def test_every_dependency_has_a_permissive_licence() -> None:
    seen: dict[str, metadata.Distribution] = {}
    supplied("deepchecks-telemetry", frozenset({"collector"}), seen)
    licences = {name: licence(distribution) for name, distribution in seen.items() if name not in BY_NAME}
    assert len(licences) > len(RUNTIME)
    assert {name: text for name, text in licences.items() if not PERMISSIVE.search(text) or "GPL" in text} == {}


def licence(distribution: metadata.Distribution) -> str:
    """All licence metadata of a distribution, without full texts."""
    metadata_ = distribution.metadata
    texts = [text[:80] for name in ("License-Expression", "License") for text in metadata_.get_all(name) or ()]
    return " ".join([*texts, *(line for line in metadata_.get_all("Classifier") or () if line.startswith("License"))])


def build(folder: Path, **changes: str) -> Path:
    """Build both distributions from a copy of the sources, and return the directory that they are in."""
    ignored = shutil.ignore_patterns(".git", ".nox", "dist", "__pycache__", ".*_cache", ".hypothesis", "tests")
    shutil.copytree(CHECKOUT, folder, ignore=ignored)
    for path in folder.rglob("*"):
        os.utime(path, (int(changes["born"]),) * 2)
    script = f"import os; os.umask({changes['umask']}); from hatchling.cli import hatchling; hatchling()"
    environ = {**os.environ, **{name: changes[name] for name in ("TZ", "LC_ALL")}}
    asked = [sys.executable, "-c", script, "build", "-d", "built"]
    done = subprocess.run(asked, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "built"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with a wheel and a source distribution."""
    return build(tmp_path_factory.mktemp("one") / "checkout", born="1500000000", umask="0o022", TZ="UTC", LC_ALL="C")


def test_a_build_is_reproducible(built: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    again = build(
        tmp_path / "deep" / "a b", born="1700000001", umask="0o077", TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8"
    )
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in (built, again)
    ]
    assert len(digests[0]) == 2
    assert digests[0] == digests[1]


def test_the_wheel_contains_the_packages_and_nothing_that_runs_by_itself(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist()}
    about = {name: held.pop(name) for name in list(held) if ".dist-info/" in name}
    assert held == {name: content for room in ROOMS for name, content in sources(room)}
    assert {name.partition(".dist-info/")[2] for name in about} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    commands = next(content for name, content in about.items() if name.endswith("entry_points.txt"))
    assert commands.decode().split() == ["[console_scripts]", "deepchecks", "=", "deepchecks_telemetry.cli:main"]


def sources(room: str) -> Iterator[tuple[str, bytes]]:
    for path in (CHECKOUT / room / "deepchecks_telemetry").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(CHECKOUT / room).as_posix(), path.read_bytes()


def test_installing_the_wheel_runs_no_code(built: Path) -> None:
    """Neither the build (no hook, no setup.py, one backend) nor the wheel (no .pth, no script) contains any."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert "docs/deepchecks.1" in names  # the manual page; its content is checked by `nox -s docs`
    assert not {"setup.py", "setup.cfg", "hatch_build.py", "hatch.toml"} & names
    assert {"pyproject.toml", "noxfile.py", "SECURITY.md", "requirements/test.txt"} <= names
    assert set(PYPROJECT["build-system"]) == {"requires", "build-backend"}
    assert [Requirement(requirement).name for requirement in PYPROJECT["build-system"]["requires"]] == ["hatchling"]
    assert PYPROJECT["build-system"]["requires"] == PYPROJECT["dependency-groups"]["build"]
    settings = PYPROJECT["tool"]["hatch"]["build"]
    assert not [table for table in (settings, *settings["targets"].values()) if "hooks" in table]


def test_each_workflow_action_is_pinned_by_commit() -> None:
    workflows = list((CHECKOUT / ".github" / "workflows").glob("*.yml"))
    used = [line for path in workflows for line in re.findall(r"uses: *(\S+)", path.read_text("utf-8"))]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)] == []
