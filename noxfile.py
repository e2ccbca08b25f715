"""The gate: `nox` runs what lands or not, on each of our Pythons that is found here.

The default sessions need nothing from outside Python. A test whose tool is missing (strace, a browser) is skipped with
its reason; `.ci/run` installs the tools and lets no such test be skipped. What a session installs stands in
requirements/, each file of it told by its hash; only `real`, `smoke` and `vision` leave more to the index, and say why.
"""

import json
import shutil
import sys
from importlib import metadata
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
MAIN = "3.11"  # where all of the tests run; on the others by default those that a Python could break
OTHERS = [python for python in PYTHONS if python != MAIN]
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
ROOMS = ["spool", "uploader", "hooks", "collector", "cli"]
PROJECT = nox.project.load_toml("pyproject.toml")
LOCKS = Path("requirements")
# Each lock, the oldest Python that it is for, and what goes into it.
RUNTIME = ("pyproject.toml", "--extra=collector")
LOCKED = {
    "runtime": ("3.10", *RUNTIME),
    "test": ("3.10", *RUNTIME, "--group=test"),
    "dev": ("3.10", *RUNTIME, "--group=dev"),
    "lowest": ("3.10", *RUNTIME, "--group=test", "--resolution=lowest-direct"),
    "browser": (MAIN, *RUNTIME, "--group=browser"),
    "fleet": (MAIN, *RUNTIME, "--group=fleet"),
    "fuzz": (MAIN, *RUNTIME, "--group=fuzz"),
    "hosts": ("3.10", *RUNTIME, "--group=hosts"),
    "lint": ("3.10", "--group=lint"),
    "site": (MAIN, *RUNTIME, "--group=site"),
    "supply": (MAIN, "--group=supply"),
}

nox.needs_version = ">=2026.8.10"  # from here on a shim of pyenv that cannot run counts as no interpreter
nox.options.error_on_missing_interpreters = False  # also where CI is set: "on the Pythons that it finds"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "imports", "docs", "tests", "wheel", "real"]


def install(session: nox.Session, lock: str) -> None:
    """Install what a lock names, and nothing that differs from it by a byte."""
    session.install("--require-hashes", "-r", str(LOCKS / f"{lock}.txt"))


def install_sources(session: nox.Session, lock: str) -> None:
    """The same, and ourselves, editable; the build's own requirements are in the lock."""
    install(session, lock)
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


def install_group(session: nox.Session, name: str) -> None:
    """A group that is not locked: deepchecks brings 150 packages, and torch is another one for each machine."""
    session.install("--editable", ".[collector]", *nox.project.dependency_groups(PROJECT, name))


def run_tests(session: nox.Session, *what: str) -> None:
    """Run what needs neither the real deepchecks nor a browser."""
    session.run("pytest", "-m", "not real", *PARALLEL, "--ignore=tests/browser", *what, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the code to ruff's rules and format, and the workflows to GitHub's schema."""
    install(session, "lint")
    session.run("ruff", "check", "--no-cache", ".")
    session.run("ruff", "format", "--no-cache", "--check", ".")
    workflows = [path.as_posix() for path in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)


@nox.session
def types(session: nox.Session) -> None:
    """Check all types strictly for the oldest Python, and the rooms as each system sees them."""
    install_sources(session, "dev")
    oldest = ("mypy", "--strict", "--python-version=3.10")
    session.run(*oldest, "--platform=linux", *ROOMS, "tests", "benchmarks", "noxfile.py")
    for platform in ("darwin", "win32"):
        session.run(*oldest, f"--platform={platform}", *ROOMS)


@nox.session
def imports(session: nox.Session) -> None:
    """Hold the rooms to their order."""
    install_sources(session, "dev")
    session.run("lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """Check what the documents say: links, the two commands, and each block that a program writes."""
    install_sources(session, "dev")
    pages = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]
    written = [str(page) for page in pages if "[[[cog" in page.read_text("utf-8")]
    if written:
        session.run("cog", "--check", "--diff", *written)
    session.run("pytest", "tests/docs/test_links.py", "tests/docs/test_names.py", "tests/test_layout.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the sources: on one Python all but the campaigns, on the others what runs in a host."""
    install_sources(session, "test")
    hosted = [f"tests/{path}" for path in ("spool", "uploader", "hooks", "fuzz", "test_first_light.py")]
    run_tests(session, *(["--ignore=tests/campaigns"] if session.python == MAIN else hosted))


@nox.session(python=OTHERS)
def whole(session: nox.Session) -> None:
    """Test all of that on the other Pythons too."""
    install_sources(session, "test")
    run_tests(session, "--ignore=tests/campaigns")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Test with the lowest versions that pyproject.toml allows, on the oldest Python."""
    install_sources(session, "lowest")
    run_tests(session, "--ignore=tests/campaigns")


@nox.session(python=MAIN)
def campaigns(session: nox.Session) -> None:
    """Kill, damage, fail, race, and take defences away: quickly, or with `-- --long` in full, an hour or more."""
    install_sources(session, "test")
    elsewhere = [f"--ignore=tests/campaigns/{name}" for name in ("hosts", "test_programs.py")]  # see `hosts`
    session.run("pytest", "-s", "tests/campaigns", *elsewhere, *session.posargs)


@nox.session(python=PYTHONS)
def hosts(session: nox.Session) -> None:
    """Record in real host programs: servers, pools, daemons, interrupts; with `-- --long`, thousands of times."""
    install_sources(session, "hosts")
    programs = ["tests/campaigns/test_programs.py"] if session.python == MAIN else []
    session.run("pytest", "-s", "tests/campaigns/hosts", *programs, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Test the built wheel, with the sources out of sight; what is in it, tests/test_supply.py looks at."""
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree("tests", outside / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", outside)
    install(session, "test")
    session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(outside), silent=True)
    (built,) = outside.glob("*.whl")
    session.install("--no-deps", "--force-reinstall", str(built))
    session.chdir(outside)
    # That it holds every file of the rooms, tests/test_supply.py shows; here commands and children start from it.
    fronts = (
        "hooks spool/recording/test_harmless.py spool/test_init.py uploader/test_background.py collector/test_serve.py"
    )
    commands = "cli/test_package.py cli/page/test_view.py cli/setup/test_attach.py cli/test_completion.py"
    chosen = (f"tests/{path}" for path in f"{fronts} {commands}".split())
    session.run("pytest", "-m", "not real", *PARALLEL, *chosen, *session.posargs)


@nox.session(python=MAIN)
def real(session: nox.Session) -> None:
    """Test with the real deepchecks and a real OpenTelemetry collector."""
    install_group(session, "real")
    scratch = Path(session.create_tmp()).resolve()
    session.env["MPLCONFIGDIR"] = str(scratch / "matplotlib")  # tests have a HOME each: one font cache for all of them
    session.env["OTHER_PYTHON"] = other_environment(session, scratch / "other", (".",))
    session.run("pytest", "-m", "real", *PARALLEL, *session.posargs)


@nox.session(python=OTHERS)
def smoke(session: nox.Session) -> None:
    """Test what matters most of the real deepchecks on the other Pythons."""
    install_group(session, "smoke")
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", *PARALLEL, "tests/hooks/test_smoke.py", *session.posargs)


@nox.session(python=MAIN)
def vision(session: nox.Session) -> None:
    """Test deepchecks' vision part, which needs torch: 2 GB."""
    install_group(session, "vision")
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", "tests/hooks/test_vision.py", *session.posargs)


@nox.session(python=MAIN)
def fleet(session: nox.Session) -> None:
    """Test the fleet's SQL in a real ClickHouse engine, on what a real Rotel emitted."""
    install_sources(session, "fleet")
    session.run("pytest", "-m", "real", "tests/collector/test_fleet.py", *session.posargs)


@nox.session(python=MAIN)
def browser(session: nox.Session) -> None:
    """Test the picture in a real browser: Chromium and npm's axe-core, which `.ci/run` installs."""
    install_sources(session, "browser")
    session.run("pytest", "tests/browser", *session.posargs)


@nox.session(python=MAIN)
def site(session: nox.Session) -> None:
    """Build the docs site, where a warning is an error, and check that it loads nothing from another host."""
    install_sources(session, "site")
    out = Path(session.create_tmp()).resolve() / "html"
    shutil.rmtree(out, ignore_errors=True)
    strictly = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", f"--doctree-dir={out}.trees")
    session.run("python", "-m", "sphinx", *strictly, "--conf-dir=docs", ".", str(out))
    session.run("pytest", "tests/docs/test_site.py", *session.posargs, env={"SITE": str(out)})
    session.log(f"The site is in {out}")


@nox.session(python=MAIN)
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers, guided by coverage, from the corpus on; with `-- --long`, a million inputs and more."""
    install_sources(session, "fuzz")
    runs = 300_000 if "--long" in session.posargs else 10_000
    scratch = Path(session.create_tmp()).resolve()
    session.env["DEEPCHECKS_TELEMETRY_DIR"] = str(scratch / "home")
    for seeds in sorted(Path("tests/fuzz/corpus").iterdir()):
        found = scratch / seeds.name
        found.mkdir(exist_ok=True)
        limits = (f"-runs={runs}", f"-artifact_prefix={found}-", "-seed=1", "-verbosity=0", "-print_final_stats=1")
        session.run("python", "-m", "tests.fuzz", seeds.name, *limits, str(found), str(seeds))


@nox.session(python=MAIN)
def audit(session: nox.Session) -> None:
    """Ask PyPI for known vulnerabilities of what is locked; unanswered it is skipped, or fails with `-- --strict`."""
    install(session, "supply")
    report = Path(session.create_tmp()).resolve() / "audit.json"
    report.unlink(missing_ok=True)
    locks = [f"--requirement={LOCKS / name}.txt" for name in sorted(set(LOCKED) - {"lowest"})]
    how = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", f"--output={report}")
    session.run("pip-audit", *how, *locks, success_codes=[0, 1], silent=True)
    found = json.loads(report.read_text("utf-8"))["dependencies"] if report.exists() else []
    asked = [each for each in found if "vulns" in each]
    bad = [f"{each['name']} {each['version']}: {vuln['id']}" for each in asked for vuln in each["vulns"]]
    if bad:
        session.error("\n".join(bad))
    if not asked or len(asked) < len(found):
        # To pip-audit this is a success: a mirror that has no advisories says "not found" to each question.
        tell = session.error if "--strict" in session.posargs else session.skip
        tell(f"NOT AUDITED: nobody answered for {len(found) - len(asked)} of {len(found)} packages")


@nox.session(python=MAIN)
def sbom(session: nox.Session) -> None:
    """Write what a user installs: dist/sbom.json in CycloneDX's form, dist/licences.txt with one line a package."""
    install(session, "supply")
    locked = ("--require-hashes", "-r", str(LOCKS / "runtime.txt"))
    python = other_environment(session, Path(session.create_tmp()).resolve() / "user", locked, ("--no-deps", "."))
    Path("dist").mkdir(exist_ok=True)
    form = ("--output-reproducible", "--validate", "--pyproject", "pyproject.toml", "--mc-type", "library")
    session.run("cyclonedx-py", "environment", *form, "--output-file", "dist/sbom.json", python)
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = session.run(python, "-c", script, silent=True, external=True)
    told = [each.metadata for each in metadata.distributions(path=[str(packages).strip()])]
    lines = sorted(f"{each['Name']} {each['Version']}: {licence(each)}\n" for each in told)
    Path("dist/licences.txt").write_text("".join(lines), "utf-8")


@nox.session(python=MAIN)
def lock(session: nox.Session) -> None:
    """Write requirements/ anew after a change of pyproject.toml; with `-- --upgrade`, with the newest versions."""
    install(session, "supply")
    how = ("--universal", "--generate-hashes", "--custom-compile-command=nox -s lock", "--quiet")
    for name, (python, *what) in LOCKED.items():
        target = f"--output-file=requirements/{name}.txt"
        session.run("uv", "pip", "compile", *how, f"--python-version={python}", *what, target, *session.posargs)


@nox.session(python=MAIN)
def bench(session: nox.Session) -> None:
    """Compare what telemetry costs its host, ours and others': quickly, failing where a ratio is far off."""
    session.run("python", "-m", "benchmarks", "--quick", "--check", *session.posargs)


def licence(told: metadata.PackageMetadata) -> str:
    """Answer what a package says its licence is: an expression, else the first line of a text, else its classifiers."""
    texts = [text.splitlines()[0] for name in ("License-Expression", "License") for text in told.get_all(name) or ()]
    classified = [line.split(" :: ")[-1] for line in told.get_all("Classifier") or () if line.startswith("License ::")]
    return next(iter(texts), "") or ", ".join(classified) or "not stated"


def other_environment(session: nox.Session, folder: Path, *wanted: tuple[str, ...]) -> str:
    """Answer the Python of a second virtual environment, which shares nothing with the first but its user."""
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    for what in wanted:
        session.run(python, "-m", "pip", "install", "--quiet", *what, external=True)
    return python
