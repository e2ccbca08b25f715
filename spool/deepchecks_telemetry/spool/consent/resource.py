"""Tells where this process runs: in the catalogue's coarse values only, found once, cheaply, never raising.

The deciding is pure: each `*_of` function sees no more than it is handed, so a table can test it. What they say is held
to the catalogue at the end: a value that it does not name is told as "other" or "unknown".
"""

import os
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool import catalogue
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.regular import exists

__all__ = ["current", "find", "is_test_run"]

_UNSET = ("", "0", "false", "no", "off")
# Most set CI too, but tools between them and us (tox, sudo, a container) may pass only one of the two on.
_CI = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TRAVIS", "CIRCLECI", "TF_BUILD", "BUILDKITE"]
_CI += ["TEAMCITY_VERSION", "APPVEYOR", "BITBUCKET_BUILD_NUMBER", "CODEBUILD_BUILD_ID", "CIRRUS_CI", "DRONE"]
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # the order of os-release(5)
_MACOS_VERSION = ("/System/Library/CoreServices/SystemVersion.plist",)
_WINDOWS_11_BUILD = 22000  # Windows 11 still says "10.0"; only its build tells


class Traces(NamedTuple):
    """All that may be looked at to tell a runtime: variables, loaded modules, which files exist, `sys.ps1`."""

    environ: Mapping[str, str]
    modules: Container[str]
    exists: Callable[[str], bool]
    prompt: str

    def variable(self, *names: str) -> bool:
        """Whether one of them is set to something that does not mean no."""
        return any(self.environ.get(name, "").strip().lower() not in _UNSET for name in names)

    def file(self, *paths: str) -> bool:
        """Whether one of them exists."""
        return any(map(self.exists, paths))

    def kernel(self) -> bool:
        """Whether this is a Jupyter kernel: deepchecks itself loads IPython and most of ipykernel, but not the app."""
        return "ipykernel.kernelapp" in self.modules


# The first that holds is told. What says most about how deepchecks is used comes first: a notebook service before the
# container that it runs in, a pipeline before the tests that it runs.
_RUNTIMES: tuple[tuple[str, Callable[[Traces], bool]], ...] = (
    ("colab", lambda seen: seen.variable("COLAB_RELEASE_TAG") or "google.colab" in seen.modules),
    ("kaggle", lambda seen: seen.variable("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_URL_BASE")),
    ("databricks", lambda seen: seen.variable("DATABRICKS_RUNTIME_VERSION")),
    ("sagemaker", lambda seen: seen.variable("SM_TRAINING_ENV", "SAGEMAKER_APP_TYPE", "TRAINING_JOB_ARN")),
    ("sagemaker", lambda seen: seen.file("/opt/ml/metadata/resource-metadata.json")),
    ("ci", lambda seen: seen.variable(*_CI)),
    ("vscode", lambda seen: seen.kernel() and seen.variable("VSCODE_PID", "VSCODE_CWD")),
    ("jupyter", lambda seen: seen.kernel()),
    ("test", lambda seen: is_test_run(seen.environ, seen.modules)),
    ("kubernetes", lambda seen: seen.variable("KUBERNETES_SERVICE_HOST")),
    ("kubernetes", lambda seen: seen.file("/var/run/secrets/kubernetes.io/serviceaccount")),
    ("docker", lambda seen: seen.file("/.dockerenv")),
    ("podman", lambda seen: seen.file("/run/.containerenv") or seen.environ.get("container") == "podman"),
    ("container", lambda seen: seen.variable("container", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")),
    ("container", lambda seen: seen.file("/run/systemd/container", "/run/host/container-manager")),
    ("wsl", lambda seen: seen.variable("WSL_DISTRO_NAME", "WSL_INTEROP")),
    ("wsl", lambda seen: seen.file("/proc/sys/fs/binfmt_misc/WSLInterop")),
    ("ipython", lambda seen: seen.prompt.startswith("In ")),
    ("repl", lambda seen: bool(seen.prompt)),
)
_CONTAINERS = ("kubernetes", "docker", "podman", "container")

_found: list[catalogue.Environment] = []


def current() -> catalogue.Environment:
    """Where this process runs: found at the first call, remembered for the process and its forks."""
    if not _found:
        _found.append(find())
    return _found[0]


def find() -> catalogue.Environment:
    """Look where this process runs."""
    prompt = getattr(sys, "ps1", "")  # set by the plain prompt and by IPython, only where a person types
    traces = Traces(os.environ, sys.modules, exists, prompt if isinstance(prompt, str) else "repl")
    return _held_to_catalogue(
        (
            version_of(_listings(sys.path)),
            *system_of(sys.platform, _release(sys.platform)),
            sys.implementation.name.lower(),
            "{}.{}".format(*sys.version_info),
            runtime_of(traces),
        )
    )


def is_test_run(environ: Mapping[str, str], modules: Container[str]) -> bool:
    """Whether pytest or unittest is running in this process, not merely imported, nor in a process above this one.

    Before 8.2 pytest sets no variable while it collects, when most test modules import deepchecks; but it has then
    loaded its own plugins, which `import pytest` does not.
    """
    named = environ.get("PYTEST_VERSION") or environ.get("PYTEST_CURRENT_TEST")
    return ("pytest" in modules and bool(named or "_pytest.skipping" in modules)) or is_unittest_run(modules)


def is_unittest_run(modules: Container[str]) -> bool:
    """Whether unittest has called us, whoever runs it (itself, Django, an editor), or was started by its name.

    Its modules mark themselves with `__unittest`, so that tracebacks can leave them out.
    """
    main = modules["__main__"] if isinstance(modules, dict) and "__main__" in modules else None
    if getattr(getattr(main, "__spec__", None), "name", None) == "unittest.__main__":
        return True
    frame = sys._getframe() if "unittest" in modules and hasattr(sys, "_getframe") else None  # noqa: SLF001
    while frame is not None and "__unittest" not in frame.f_globals:
        frame = frame.f_back
    return frame is not None


def is_container() -> bool:
    """Whether this process runs in a container, where an image's files stand for the machine's."""
    traces = Traces(os.environ, sys.modules, exists, "")
    return any(holds(traces) for runtime, holds in _RUNTIMES if runtime in _CONTAINERS)


def runtime_of(traces: Traces) -> str:
    """Name the runtime that the traces give away: "script" where they give away none."""
    return next((runtime for runtime, holds in _RUNTIMES if holds(traces)), "script")


def system_of(platform: str, release: str) -> tuple[str, str, str]:
    """OS type, name and version, from `sys.platform` and what the system writes about itself (see `_release`)."""
    if platform == "win32":
        return "windows", "windows", _windows_version(*map(int, release.split(".")))
    if platform == "darwin":
        return "darwin", "macos", _coarse(release.partition("<key>ProductVersion</key>")[2].partition("<string>")[2])
    lines = [line.partition("=") for line in release.split("\n")]
    fields = {name: value.strip("\"' \t\r") for name, _, value in lines}
    name = fields.get("ID", "other")
    # A distribution that the catalogue does not name does not tell its version either: it could only single it out.
    version = _coarse(fields.get("VERSION_ID", "")) if name in catalogue.OS_NAMES else catalogue.UNKNOWN
    return platform.rstrip("0123456789"), name, version


def version_of(listings: Iterable[Iterable[str]]) -> str:
    """Say what `importlib.metadata` would of deepchecks, from the names in each directory of `sys.path`.

    A name is read in 0.4 ms where importing that module takes 35. The local part of a version is free text: left out.
    """
    for name in (name for listing in listings for name in listing):
        project, _, rest = name.partition("-")
        if project.lower() == "deepchecks" and rest.endswith("-info"):
            return rest.partition("-")[0].removesuffix(".dist").removesuffix(".egg").partition("+")[0]
    return catalogue.UNKNOWN


def _windows_version(major: int, minor: int, build: int) -> str:
    if (major, minor) != (10, 0):
        return f"{major}.{minor}"
    return "11" if build >= _WINDOWS_11_BUILD else "10"


def _coarse(version: str) -> str:
    """The first number of a version and the second, where there is one."""
    major = _digits(version)
    minor = _digits(version[len(major) + 1 :]) if version[len(major) :].startswith(".") else ""
    if not 1 <= len(major) <= 5:
        return catalogue.UNKNOWN
    return f"{major}.{minor}" if 1 <= len(minor) <= 3 else major


def _digits(text: str) -> str:
    """Those that the text begins with."""
    return text[: len(text) - len(text.lstrip("0123456789"))]


def _held_to_catalogue(values: tuple[str, ...]) -> catalogue.Environment:
    held = (
        next(value for value in (told, "other", catalogue.UNKNOWN) if field.allows(value))
        for field, told in zip(catalogue.FIELDS, values, strict=True)
    )
    return catalogue.Environment(*held)


def _listings(path: Iterable[object]) -> Iterable[list[str]]:
    return (_listing(entry) for entry in path if isinstance(entry, str))


def _listing(directory: str) -> list[str]:
    try:
        return os.listdir(directory or ".")
    except (OSError, ValueError) as error:  # a zip file, a directory that is gone, a name with a NUL in it
        raise_if_hosts(error)
        return []


def _release(platform: str) -> str:
    windows = getattr(sys, "getwindowsversion", None)
    if windows:
        return "{}.{}.{}".format(*windows())
    return next(filter(None, map(_text, _MACOS_VERSION if platform == "darwin" else _OS_RELEASE)), "")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError as error:
        raise_if_hosts(error)
        return ""
