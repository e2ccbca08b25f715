"""The gate: `nox` runs what lands or not, on each of our Pythons that is found here.

The default sessions need nothing from outside Python. A test whose tool is missing (strace, a browser) is skipped with
its reason; `.ci/run` installs the tools and lets no such test be skipped.
"""

import shutil
import sys
import zipfile
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
ROOMS = ["spool", "uploader", "hooks", "collector", "cli"]
PROJECT = nox.project.load_toml("pyproject.toml")

nox.needs_version = ">=2026.8.10"  # from here on a shim of pyenv that cannot run counts as no interpreter
nox.options.error_on_missing_interpreters = False  # also where CI is set: "on the Pythons that it finds"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "imports", "docs", "tests", "wheel", "real"]


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the code to ruff's rules and format."""
    session.install(*group("lint"))
    session.run("ruff", "check", "--no-cache", ".")
    session.run("ruff", "format", "--no-cache", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check all types strictly for the oldest Python, and the rooms as each system sees them."""
    session.install("-e", ".[collector]", *group("types"))
    oldest = ("mypy", "--strict", "--python-version=3.10")
    session.run(*oldest, "--platform=linux", *ROOMS, "tests", "noxfile.py")
    for platform in ("darwin", "win32"):
        session.run(*oldest, f"--platform={platform}", *ROOMS)


@nox.session
def imports(session: nox.Session) -> None:
    """Hold the rooms to their order."""
    session.install("-e", ".[collector]", *group("imports"))
    session.run("lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """Check what the documents say: links, the two commands, and each block that a program writes."""
    session.install("-e", ".[collector]", *group("docs"))
    pages = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]
    written = [str(page) for page in pages if "[[[cog" in page.read_text("utf-8")]
    if written:
        session.run("cog", "--check", "--diff", *written)
    session.run("pytest", "tests/docs", "tests/test_house.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the sources, installed editable; the campaigns, in their quick form, on one Python."""
    session.install("-e", ".[collector]", *group("test"))
    ignored = ["--ignore=tests/browser"]
    ignored += [] if session.python == "3.11" else ["--ignore=tests/campaigns"]
    session.run("pytest", "-m", "not real", *PARALLEL, *ignored, *session.posargs)


@nox.session
def campaigns(session: nox.Session) -> None:
    """Run campaigns and mutations in full: an hour or more."""
    session.install("-e", ".[collector]", *group("test"))
    session.run("pytest", "--long", "-s", "tests/campaigns", "tests/spool/test_mutations.py", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Test the built wheel, with the sources out of sight."""
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree("tests", outside / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", outside)
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(outside), ".")
    (built,) = outside.glob("*.whl")
    check_contents(session, built)
    session.install(f"{built}[collector]", *group("test"))
    session.chdir(outside)
    # What a wheel could lack: modules, data files, commands and child processes; not each room's logic once more.
    fronts = "cli collector hooks spool/test_harmless.py spool/test_init.py uploader/test_background.py".split()
    session.run("pytest", "-m", "not real", *PARALLEL, *(f"tests/{path}" for path in fronts), *session.posargs)


def check_contents(session: nox.Session, built: Path) -> None:
    names = zipfile.ZipFile(built).namelist()
    foreign = [name for name in names if not name.startswith(("deepchecks_telemetry/", "deepchecks_telemetry-"))]
    unmarked = [room for room in ROOMS if f"deepchecks_telemetry/{room}/py.typed" not in names]
    if foreign or unmarked or "deepchecks_telemetry/__init__.py" in names:
        session.error(f"the wheel holds {foreign}, lacks py.typed in {unmarked}, or is no namespace package")


@nox.session(python="3.11")
def real(session: nox.Session) -> None:
    """Test with the real deepchecks and a real OpenTelemetry collector."""
    session.install("-e", ".[collector]", *group("real"))
    scratch = Path(session.create_tmp()).resolve()
    session.env["MPLCONFIGDIR"] = str(scratch / "matplotlib")  # tests have a HOME each: one font cache for all of them
    session.env["OTHER_PYTHON"] = other_environment(session, scratch / "other")
    session.run("pytest", "-m", "real", *PARALLEL, *session.posargs)


@nox.session(python=["3.10", "3.12", "3.13"])
def smoke(session: nox.Session) -> None:
    """Test what matters most of the real deepchecks on the other Pythons."""
    session.install("-e", ".[collector]", *group("smoke"))
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", *PARALLEL, "tests/hooks/test_smoke.py", *session.posargs)


@nox.session(python="3.11")
def vision(session: nox.Session) -> None:
    """Test deepchecks' vision part, which needs torch: 2 GB."""
    session.install("-e", ".[collector]", *group("vision"))
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", "tests/hooks/test_vision.py", *session.posargs)


@nox.session(python="3.11")
def fleet(session: nox.Session) -> None:
    """Test the fleet's SQL in a real ClickHouse engine, on what a real Rotel emitted."""
    session.install("-e", ".[collector]", *group("fleet"))
    session.run("pytest", "-m", "real", "tests/collector/test_fleet.py", *session.posargs)


@nox.session(python="3.11")
def browser(session: nox.Session) -> None:
    """Test the picture in a real browser: Chromium and npm's axe-core, which `.ci/run` installs."""
    session.install("-e", ".[collector]", *group("browser"))
    session.run("pytest", "tests/browser", *session.posargs)


def other_environment(session: nox.Session, folder: Path) -> str:
    """Answer the Python of a second virtual environment of this user, which shares nothing with the first but us."""
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    session.run(python, "-m", "pip", "install", "--quiet", ".", external=True)
    return python
