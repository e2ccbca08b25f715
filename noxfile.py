"""The checks that every change must pass: `nox` runs the default sessions on each supported Python that it finds.

The default sessions need nothing from outside Python. A test whose tool is missing (strace, a browser) is skipped with
its reason; `.ci/run` installs the tools and lets no such test be skipped. A session installs one file of requirements/,
in which each file of each package is pinned by its hash; only `real`, `smoke` and `vision` are not locked
(`install_group` says why).
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
MAIN = "3.11"  # runs all tests; the others by default only the tests that a Python version could break
OTHERS = [python for python in PYTHONS if python != MAIN]
DEEPCHECKS_PYTHONS = ["3.10", "3.11", "3.12", "3.13"]  # scikit-learn<1.6, which deepchecks needs, has wheels for these
PARALLEL = ("--numprocesses=auto", "--dist=worksteal")
PACKAGES = ["spool", "uploader", "hooks", "collector", "cli"]
CAMPAIGNS_OF_WINDOWS = ["kill", "fence", "damage", "damage_held", "disable"]  # the campaigns of the session `windows`
PROJECT = nox.project.load_toml("pyproject.toml")
LOCKS = Path("requirements")
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"  # as in tests/collector/otelcol/builder.yaml
CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib"
# For each lock file: the oldest Python that it supports, and what is locked in it.
RUNTIME = ("pyproject.toml", "--extra=collector")
LOCKED = {
    "runtime": ("3.10", *RUNTIME),
    **{name: ("3.10", *RUNTIME, f"--group={name}") for name in ("test", "dev", "hosts")},
    "lowest": ("3.10", *RUNTIME, "--group=test", "--resolution=lowest-direct"),
    **{name: (MAIN, *RUNTIME, f"--group={name}") for name in ("browser", "deploy", "fleet", "fuzz", "site")},
    "lint": ("3.10", "--group=lint"),
    "supply": (MAIN, "--group=supply"),
}

nox.needs_version = ">=2026.8.10"  # older versions take a pyenv shim that cannot run for an interpreter
nox.options.error_on_missing_interpreters = False  # also if CI is set: nox runs on the Pythons that it finds
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "imports", "docs", "tests", "wheel", "real"]


def install(session: nox.Session, lock: str) -> None:
    """Install exactly the files that a lock file pins by hash."""
    session.install("--require-hashes", "-r", str(LOCKS / f"{lock}.txt"))


def install_sources(session: nox.Session, lock: str) -> None:
    """Install a lock file, then this project, editable; the build requirements are in the lock file."""
    install(session, lock)
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


def install_group(session: nox.Session, name: str) -> None:
    """Install a group that is not locked: deepchecks has 150 dependencies, and torch another wheel for each machine."""
    session.install("--editable", ".[collector]", *nox.project.dependency_groups(PROJECT, name))


def run_pytest(session: nox.Session, lock: str, *selection: str, env: Mapping[str, str] | None = None) -> None:
    """Install a lock file and this project, and run some tests."""
    install_sources(session, lock)
    session.run("pytest", *selection, *session.posargs, env=env)


def run_tests(session: nox.Session, lock: str, *selection: str) -> None:
    """Run the tests that need neither the real deepchecks nor a browser."""
    run_pytest(session, lock, "-m", "not real", *PARALLEL, "--ignore=tests/browser", *selection)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code with ruff (rules and format), and the workflows and the compose file against their schemas."""
    install(session, "lint")
    session.run("ruff", "check", "--no-cache", ".")
    session.run("ruff", "format", "--no-cache", "--check", ".")
    workflows = [path.as_posix() for path in sorted(Path(".github/workflows").glob("*.yml"))]
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)
    session.run("check-jsonschema", "--builtin-schema=vendor.compose-spec", "collector/fleet/compose.yaml")


@nox.session
def types(session: nox.Session) -> None:
    """Check all types strictly for the oldest Python, and those of the packages also for macOS and Windows."""
    install_sources(session, "dev")
    oldest = ("mypy", "--strict", "--python-version=3.10")
    session.run(*oldest, "--platform=linux", *PACKAGES, "tests", "benchmarks", "noxfile.py")
    for platform in ("darwin", "win32"):
        session.run(*oldest, f"--platform={platform}", *PACKAGES)


@nox.session
def imports(session: nox.Session) -> None:
    """Check which package may import which."""
    install_sources(session, "dev")
    session.run("lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """Check the docs: links, the two commands of the README, and each generated block."""
    install_sources(session, "dev")
    pages = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md")), Path("docs/deepchecks.1")]
    generated = [str(page) for page in pages if "[[[cog" in page.read_text("utf-8")]
    if generated:
        session.run("cog", "--check", "--diff", *generated)
    session.run("pytest", "tests/docs/test_links.py", "tests/docs/test_names.py", "tests/test_layout.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the sources: on one Python all but the campaigns, on the others the code that runs in a host."""
    host_code = [f"tests/{path}" for path in ("spool", "uploader", "hooks", "fuzz", "test_first_light.py")]
    run_tests(session, "test", *(["--ignore=tests/campaigns"] if session.python == MAIN else host_code))


@nox.session(python=OTHERS)
def whole(session: nox.Session) -> None:
    """Run all tests but the campaigns on the other Pythons too."""
    run_tests(session, "test", "--ignore=tests/campaigns")


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run all tests but the campaigns with the lowest versions that pyproject.toml allows, on the oldest Python."""
    run_tests(session, "lowest", "--ignore=tests/campaigns")


@nox.session(python=MAIN)
def campaigns(session: nox.Session) -> None:
    """Kill, damage, fail, race, and remove defences: the short form, or with `-- --long` an hour or more."""
    excluded = [f"--ignore=tests/campaigns/{name}" for name in ("hosts", "test_programs.py")]  # see `hosts`
    run_pytest(session, "test", "-s", "tests/campaigns", *excluded)


@nox.session(python=DEEPCHECKS_PYTHONS)
def hosts(session: nox.Session) -> None:
    """Record in real host programs (servers, pools, daemons, interrupts); with `-- --long`, thousands of times."""
    programs = ["tests/campaigns/test_programs.py"] if session.python == MAIN else []
    run_pytest(session, "hosts", "-s", "tests/campaigns/hosts", *programs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Run commands and child processes from the built wheel, with the sources not importable."""
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree("tests", outside / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", outside)
    install(session, "test")
    session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(outside), silent=True)
    (built,) = outside.glob("*.whl")
    session.install("--no-deps", "--force-reinstall", str(built))
    session.chdir(outside)
    # That the wheel contains every file of the packages is checked by tests/test_supply.py.
    libraries = (
        "hooks spool/recording/test_harmless.py spool/test_init.py uploader/test_background.py collector/test_serve.py"
    )
    commands = "cli/test_package.py cli/page/test_view.py cli/setup/test_attach.py cli/test_completion.py"
    selection = (f"tests/{path}" for path in f"{libraries} {commands}".split())
    session.run("pytest", "-m", "not real", *PARALLEL, *selection, *session.posargs)


@nox.session(python=MAIN)
def deploy(session: nox.Session) -> None:
    """Check the files of deploy/ with their own checkers, and run the Ansible tasks on a directory of the test."""
    run_pytest(session, "deploy", "tests/docs/test_deployment.py", env={"DEPLOY": "1"})


@nox.session(python=MAIN)
def offline(session: nox.Session) -> None:
    """Download a wheelhouse as docs/install-offline.md says, and install from it without a network."""
    run_pytest(session, "test", "tests/docs/test_install_offline.py", env={"INDEX": "1"})


@nox.session(python=MAIN)
def windows(session: nox.Session) -> None:
    """Run the tests of all packages, and the campaigns about lost events, on Python for Windows under Wine."""
    if not shutil.which("wine"):
        stop = session.error if os.environ.get("GATE") else session.skip
        stop("wine is not installed here")
    root = Path(session.create_tmp()).resolve() / "windows"
    install(session, "supply")  # uv, because pip chooses dependencies by the system that it runs on
    install(session, "test")
    session.run("bash", ".ci/windows-python", str(root), external=True)
    platform = ("--python-platform=x86_64-pc-windows-msvc", "--python-version=3.13", f"--target={root / 'packages'}")
    locked = ("--only-binary=:all:", "--require-hashes", f"--requirement={LOCKS / 'test.txt'}")
    session.run("uv", "pip", "install", "--quiet", *platform, *locked)
    session.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(root / "dist"), silent=True)
    session.run("uv", "pip", "install", "--quiet", *platform, "--no-deps", *map(str, root.glob("dist/*.whl")))
    python = str(root / "python")
    # Otherwise each process of each test compiles all that it imports, which takes two thirds of the time.
    session.run(python, "-m", "compileall", "-q", "-j", "2", str(root / "packages"), external=True)
    options = ("-p", "no:cacheprovider", "-m", "not real", "-n", "2", "--dist=worksteal", "--timeout=300", "--quiet")
    # Without the tests that need certificates: Wine 8 lacks bcryptprimitives.dll, which cryptography loads.
    campaigns = [f"tests/campaigns/test_{name}.py" for name in CAMPAIGNS_OF_WINDOWS]
    everything = [*(f"tests/{name}" for name in PACKAGES), *campaigns, "--ignore=tests/uploader/wire/test_networks.py"]
    selection = session.posargs or everything
    session.run(python, "-m", "pytest", *options, *selection, external=True, env={"GATE": ""})  # no tool of Linux there


@nox.session(python=MAIN)
def real(session: nox.Session) -> None:
    """Test with the real deepchecks and a real OpenTelemetry collector."""
    install_group(session, "real")
    scratch = Path(session.create_tmp()).resolve()
    session.env["MPLCONFIGDIR"] = str(scratch / "matplotlib")  # each test has its own HOME; they share one font cache
    session.env["OTHER_PYTHON"] = other_environment(session, scratch / "other", (".",))
    session.run("pytest", "-m", "real", *PARALLEL, *session.posargs)


@nox.session(python=[python for python in DEEPCHECKS_PYTHONS if python != MAIN])
def smoke(session: nox.Session) -> None:
    """Test the main functions of the real deepchecks on the other Pythons."""
    install_group(session, "smoke")
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", *PARALLEL, "tests/hooks/test_smoke.py", *session.posargs)


@nox.session(python=MAIN)
def vision(session: nox.Session) -> None:
    """Test the vision part of deepchecks, which needs torch (a download of 2 GB, installed 6 GB)."""
    session.env["PIP_NO_CACHE_DIR"] = "1"
    install_group(session, "vision")
    session.env["MPLCONFIGDIR"] = str(Path(session.create_tmp()).resolve())
    session.run("pytest", "-m", "real", "tests/hooks/test_vision.py", *session.posargs)


@nox.session(python=MAIN)
def fleet(session: nox.Session) -> None:
    """Test the SQL of collector/fleet/ in a real ClickHouse engine, on the output of a real Rotel."""
    run_pytest(session, "fleet", "-m", "real", "tests/collector/test_fleet.py")


@nox.session(python=MAIN)
def otelcol(session: nox.Session) -> None:
    """Build an OpenTelemetry Collector (Go, some minutes) and test the fleet's configuration and the client in it."""
    if not shutil.which("go"):
        stop = session.error if os.environ.get("GATE") else session.skip
        stop("go is not installed here")
    install_sources(session, "fleet")
    built = build_collector(session, Path(session.create_tmp()).resolve())
    query = ("go", "list", "-C", str(built), "-m", "-f", "{{.Dir}}", f"{CONTRIB}/exporter/clickhouseexporter")
    exporter = str(session.run(*query, silent=True, external=True)).strip()
    environment = {"OTELCOL": str(built / "otelcol"), "CLICKHOUSE_EXPORTER": exporter}
    session.run("pytest", "-s", "-m", "real", "tests/collector/otelcol", *session.posargs, env=environment)


@nox.session(python=MAIN)
def browser(session: nox.Session) -> None:
    """Test the page of `view` in Chromium, with axe-core from npm; `.ci/run` installs both."""
    run_pytest(session, "browser", "tests/browser")


@nox.session(python=MAIN)
def site(session: nox.Session) -> None:
    """Build the docs site, where a warning is an error, and check that it loads nothing from another host."""
    install_sources(session, "site")
    out = Path(session.create_tmp()).resolve() / "html"
    shutil.rmtree(out, ignore_errors=True)
    options = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", f"--doctree-dir={out}.trees")
    session.run("python", "-m", "sphinx", *options, "--conf-dir=docs", ".", str(out))
    session.run("pytest", "tests/docs/test_site.py", *session.posargs, env={"SITE": str(out)})
    session.log(f"The site is in {out}")


@nox.session(python=MAIN)
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers from the corpus, guided by coverage; with `-- --long`, a million inputs and more."""
    install_sources(session, "fuzz")
    runs = 300_000 if "--long" in session.posargs else 10_000
    scratch = Path(session.create_tmp()).resolve()
    session.env["DEEPCHECKS_TELEMETRY_DIR"] = str(scratch / "home")
    for seeds in sorted(Path("tests/fuzz/corpus").iterdir()):
        output = scratch / seeds.name
        output.mkdir(exist_ok=True)
        options = (f"-runs={runs}", f"-artifact_prefix={output}-", "-seed=1", "-verbosity=0", "-print_final_stats=1")
        session.run("python", "-m", "tests.fuzz", seeds.name, *options, str(output), str(seeds))


@nox.session(python=MAIN)
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of all locked packages on PyPI; without an answer skip, or fail if `--strict`."""
    install(session, "supply")
    report = Path(session.create_tmp()).resolve() / "audit.json"
    report.unlink(missing_ok=True)
    locks = [f"--requirement={LOCKS / name}.txt" for name in sorted(set(LOCKED) - {"lowest"})]
    options = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", f"--output={report}")
    session.run("pip-audit", *options, *locks, success_codes=[0, 1], silent=True)
    packages = json.loads(report.read_text("utf-8"))["dependencies"] if report.exists() else []
    audited = [package for package in packages if "vulns" in package]
    known = [f"{item['name']} {item['version']}: {vuln['id']}" for item in audited for vuln in item["vulns"]]
    if known:
        session.error("\n".join(known))
    if not audited or len(audited) < len(packages):
        # pip-audit reports success here, because a mirror without advisories answers "not found" for each package.
        stop = session.error if "--strict" in session.posargs else session.skip
        stop(f"NOT AUDITED: nobody answered for {len(packages) - len(audited)} of {len(packages)} packages")


@nox.session(python=MAIN)
def sbom(session: nox.Session) -> None:
    """Write the list of what a user installs: dist/sbom.json (CycloneDX) and dist/licences.txt (a line per package)."""
    install(session, "supply")
    locked = ("--require-hashes", "-r", str(LOCKS / "runtime.txt"))
    python = other_environment(session, Path(session.create_tmp()).resolve() / "user", locked, ("--no-deps", "."))
    # Python 3.11 puts it into each virtual environment; this package does not need it.
    session.run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", external=True)
    Path("dist").mkdir(exist_ok=True)
    options = ("--output-reproducible", "--validate", "--pyproject", "pyproject.toml", "--mc-type", "library")
    session.run("cyclonedx-py", "environment", *options, "--output-file", "dist/sbom.json", python)
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = session.run(python, "-c", script, silent=True, external=True)
    installed = [distribution.metadata for distribution in metadata.distributions(path=[str(packages).strip()])]
    lines = sorted(f"{package['Name']} {package['Version']}: {licence(package)}\n" for package in installed)
    Path("dist/licences.txt").write_text("".join(lines), "utf-8")


@nox.session(python=MAIN)
def lock(session: nox.Session) -> None:
    """Regenerate requirements/ after a change of pyproject.toml; with `-- --upgrade`, with the newest versions."""
    install(session, "supply")
    options = ("--universal", "--generate-hashes", "--custom-compile-command=nox -s lock", "--quiet")
    for name, (python, *inputs) in LOCKED.items():
        target = f"--output-file=requirements/{name}.txt"
        session.run("uv", "pip", "compile", *options, f"--python-version={python}", *inputs, target, *session.posargs)


@nox.session(python=MAIN)
def bench(session: nox.Session) -> None:
    """Compare the cost for the host with that of other projects, in the short form; fail if a ratio is far off."""
    session.run("python", "-m", "benchmarks", "--quick", "--check", *session.posargs)


def build_collector(session: nox.Session, folder: Path) -> Path:
    """Build the Collector of tests/collector/otelcol/builder.yaml in `folder`; return the directory of its sources."""
    built, sources = folder / "built", Path("tests/collector/otelcol")
    for name in ("builder.yaml", "jsonfile/go.mod", "jsonfile/receiver.go"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sources / name, folder / name)
    with session.chdir(folder):
        session.run("go", "run", BUILDER, "--config=builder.yaml", "--skip-compilation", external=True)
    # Two compilers at a time: each may need a GB of memory. What is unchanged is in Go's cache.
    compilation = ("go", "build", "-C", str(built), "-p=2", "-trimpath", "-ldflags=-s -w", "-o=otelcol", ".")
    session.run(*compilation, env={"CGO_ENABLED": "0"}, external=True)
    return built


def licence(package: metadata.PackageMetadata) -> str:
    """The licence that a package states: the expression, else the first line of a text, else its classifiers."""
    texts = [text.splitlines()[0] for name in ("License-Expression", "License") for text in package.get_all(name) or ()]
    classifiers = [line for line in package.get_all("Classifier") or () if line.startswith("License ::")]
    return next(iter(texts), "") or ", ".join(line.split(" :: ")[-1] for line in classifiers) or "not stated"


def other_environment(session: nox.Session, folder: Path, *installs: tuple[str, ...]) -> str:
    """Create a second virtual environment, run `pip install` with each of `installs`, and return its Python."""
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    for arguments in installs:
        session.run(python, "-m", "pip", "install", "--quiet", *arguments, external=True)
    return python
