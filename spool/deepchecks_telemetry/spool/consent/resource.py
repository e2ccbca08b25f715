"""Describes the environment of this process by the catalogue's coarse values, once, cheaply and without raising.

Each `*_of` function is pure: its result depends on its arguments only, so a table can test it. At the end the values
are checked against the catalogue: one that is not in it becomes "other" or "unknown".
"""

import os
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from functools import cache

from deepchecks_telemetry.spool import catalogue
from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.regular import exists

_UNSET = ("", "0", "false", "no", "off")
# Most services set CI too, but tools between them and this process (tox, sudo, a container) may pass on only one.
_CI = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TRAVIS", "CIRCLECI", "TF_BUILD", "BUILDKITE"]
_CI += ["TEAMCITY_VERSION", "APPVEYOR", "BITBUCKET_BUILD_NUMBER", "CODEBUILD_BUILD_ID", "CIRRUS_CI", "DRONE"]
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # the order of os-release(5)
_MACOS_VERSION = ("/System/Library/CoreServices/SystemVersion.plist",)
_WINDOWS_11_BUILD = 22000  # the version of Windows 11 is still "10.0"; only the build number differs


class Traces:
    """All that may be used to detect a runtime: variables, loaded modules, which files exist, `sys.ps1`."""

    def __init__(
        self, environ: Mapping[str, str], modules: Container[str], exists: Callable[[str], bool], prompt: str
    ) -> None:
        self.environ, self.modules, self.exists, self.prompt = environ, modules, exists, prompt

    def variable(self, *names: str) -> bool:
        """Whether one of them is set to a value that does not mean no."""
        return any(self.environ.get(name, "").strip().lower() not in _UNSET for name in names)

    def file(self, *paths: str) -> bool:
        """Whether one of them exists."""
        return any(map(self.exists, paths))

    def kernel(self) -> bool:
        """Whether this is a Jupyter kernel; deepchecks itself loads IPython and most of ipykernel, but not the app."""
        return "ipykernel.kernelapp" in self.modules


# The first match is recorded. What says most about how deepchecks is used comes first: a notebook service before the
# container that it runs in, a pipeline before the tests that it runs.
_RUNTIMES: tuple[tuple[str, Callable[[Traces], bool]], ...] = (
    ("colab", lambda traces: traces.variable("COLAB_RELEASE_TAG") or "google.colab" in traces.modules),
    ("kaggle", lambda traces: traces.variable("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_URL_BASE")),
    ("databricks", lambda traces: traces.variable("DATABRICKS_RUNTIME_VERSION")),
    ("sagemaker", lambda traces: traces.variable("SM_TRAINING_ENV", "SAGEMAKER_APP_TYPE", "TRAINING_JOB_ARN")),
    ("sagemaker", lambda traces: traces.file("/opt/ml/metadata/resource-metadata.json")),
    ("ci", lambda traces: traces.variable(*_CI)),
    ("vscode", lambda traces: traces.kernel() and traces.variable("VSCODE_PID", "VSCODE_CWD")),
    ("jupyter", lambda traces: traces.kernel()),
    ("test", lambda traces: is_test_run(traces.environ, traces.modules)),
    ("kubernetes", lambda traces: traces.variable("KUBERNETES_SERVICE_HOST")),
    ("kubernetes", lambda traces: traces.file("/var/run/secrets/kubernetes.io/serviceaccount")),
    ("docker", lambda traces: traces.file("/.dockerenv")),
    ("podman", lambda traces: traces.file("/run/.containerenv") or traces.environ.get("container") == "podman"),
    ("container", lambda traces: traces.variable("container", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")),
    ("container", lambda traces: traces.file("/run/systemd/container", "/run/host/container-manager")),
    ("wsl", lambda traces: traces.variable("WSL_DISTRO_NAME", "WSL_INTEROP")),
    ("wsl", lambda traces: traces.file("/proc/sys/fs/binfmt_misc/WSLInterop")),
    ("ipython", lambda traces: traces.prompt.startswith("In ")),
    ("repl", lambda traces: bool(traces.prompt)),
)
_CONTAINERS = ("kubernetes", "docker", "podman", "container")


@cache
def current() -> catalogue.Environment:
    """The environment of this process, found at the first call and cached for the process and its forks."""
    prompt = getattr(sys, "ps1", "")  # set by the plain prompt and by IPython, only in interactive use
    traces = Traces(os.environ, sys.modules, exists, prompt if isinstance(prompt, str) else "repl")
    return _checked(
        (
            version_of(map(_listing, map(str, sys.path))),
            *system_of(sys.platform, _release(sys.platform)),
            sys.implementation.name.lower(),
            "{}.{}".format(*sys.version_info),
            runtime_of(traces),
        )
    )


def is_test_run(environ: Mapping[str, str], modules: Container[str]) -> bool:
    """Whether pytest or unittest is running in this process, not merely imported, and not only in a parent process.

    Before 8.2 pytest sets no variable while it collects, when most test modules import deepchecks; but by then it has
    loaded its own plugins, which `import pytest` does not.
    """
    has_variable = environ.get("PYTEST_VERSION") or environ.get("PYTEST_CURRENT_TEST")
    return ("pytest" in modules and bool(has_variable or "_pytest.skipping" in modules)) or is_unittest_run(modules)


def is_unittest_run(modules: Container[str]) -> bool:
    """Whether unittest is in the call stack, whoever runs it (itself, Django, an editor), or is the main module.

    Its modules define `__unittest`, so that tracebacks can leave them out.
    """
    main = modules["__main__"] if isinstance(modules, dict) and "__main__" in modules else None
    if getattr(getattr(main, "__spec__", None), "name", None) == "unittest.__main__":
        return True
    frame = sys._getframe() if "unittest" in modules and hasattr(sys, "_getframe") else None  # noqa: SLF001
    while frame is not None and "__unittest" not in frame.f_globals:
        frame = frame.f_back
    return frame is not None


def is_container() -> bool:
    """Whether this process runs in a container, where files of the machine come from an image."""
    traces = Traces(os.environ, sys.modules, exists, "")
    return any(matches(traces) for runtime, matches in _RUNTIMES if runtime in _CONTAINERS)


def runtime_of(traces: Traces) -> str:
    """The runtime by its traces; "script" if none matches."""
    return next((runtime for runtime, matches in _RUNTIMES if matches(traces)), "script")


def system_of(platform: str, release: str) -> tuple[str, str, str]:
    """OS type, name and version, from `sys.platform` and the system's release text (see `_release`)."""
    if platform == "win32":
        return "windows", "windows", _windows_version(*map(int, release.split(".")))
    if platform == "darwin":
        return "darwin", "macos", _coarse(release.partition("<key>ProductVersion</key>")[2].partition("<string>")[2])
    lines = [line.partition("=") for line in release.split("\n")]
    fields = {name: value.strip("\"' \t\r") for name, _, value in lines}
    name = fields.get("ID", "other")
    # The version of a distribution that is not in the catalogue is not recorded, because it could identify it.
    version = _coarse(fields.get("VERSION_ID", "")) if name in catalogue.OS_NAMES else catalogue.UNKNOWN
    return platform.rstrip("0123456789"), name, version


def version_of(listings: Iterable[Iterable[str]]) -> str:
    """The version of deepchecks as `importlib.metadata` gives it, from the names in each directory of `sys.path`.

    Listing the names takes 0.4 ms, importing that module 35. The local part of a version is left out: it is free text.
    """
    for name in (name for listing in listings for name in listing if name.endswith("-info")):
        project, _, rest = name.partition("-")
        if project.lower() == "deepchecks" and rest.endswith("-info"):
            return rest.partition("-")[0].removesuffix(".dist").removesuffix(".egg").partition("+")[0]
    return catalogue.UNKNOWN


def _windows_version(major: int, minor: int, build: int) -> str:
    if (major, minor) != (10, 0):
        return f"{major}.{minor}"
    return "11" if build >= _WINDOWS_11_BUILD else "10"


def _coarse(version: str) -> str:
    """The first number of a version and the second, if there is one."""
    major = _digits(version)
    minor = _digits(version[len(major) + 1 :]) if version[len(major) :].startswith(".") else ""
    if not 1 <= len(major) <= 5:
        return catalogue.UNKNOWN
    return f"{major}.{minor}" if 1 <= len(minor) <= 3 else major


def _digits(text: str) -> str:
    """The digits that the text begins with."""
    return text[: len(text) - len(text.lstrip("0123456789"))]


def _checked(values: tuple[str, ...]) -> catalogue.Environment:
    allowed = (
        next(candidate for candidate in (value, "other", catalogue.UNKNOWN) if field.allows(candidate))
        for field, value in zip(catalogue.FIELDS, values, strict=True)
    )
    return catalogue.Environment(*allowed)


def _listing(directory: str) -> list[str]:
    try:
        return os.listdir(directory or ".")
    except (OSError, ValueError) as error:  # a zip file, a directory that was removed, a name that contains a NUL
        raise_if_hosts(error)
        return []


def _release(platform: str) -> str:
    windows = getattr(sys, "getwindowsversion", None)
    if windows:
        return "{}.{}.{}".format(*windows())
    return next(filter(None, map(read_text, _MACOS_VERSION if platform == "darwin" else _OS_RELEASE)), "")


def read_text(path: str) -> str:
    """The beginning of a text file of the system; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError as error:
        raise_if_hosts(error)
        return ""
