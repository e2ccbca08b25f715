"""The environment of a process: a table for each decision, the check against the catalogue, and real processes."""

import importlib.metadata
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool import catalogue
from deepchecks_telemetry.spool.consent import resource
from deepchecks_telemetry.spool.consent.resource import Traces, is_test_run, runtime_of, system_of, version_of

KERNEL = "ipykernel.kernelapp"
RUNNING = {"PYTEST_CURRENT_TEST": "test_x.py::test_x (call)"}
RUNTIMES = [
    # expected, environ, modules, files, prompt
    ("script", {}, (), (), ""),
    ("repl", {}, (), (), ">>> "),
    ("ipython", {}, (), (), "In : "),
    ("script", {}, ("IPython", "ipykernel", "ipykernel.zmqshell"), (), ""),  # modules that deepchecks itself loads
    ("jupyter", {}, (KERNEL,), (), "In : "),
    ("jupyter", {}, (KERNEL,), ("/.dockerenv",), "In : "),
    ("vscode", {"VSCODE_PID": "7"}, (KERNEL,), (), "In : "),
    ("vscode", {"VSCODE_CWD": "/home/someone"}, (KERNEL,), (), "In : "),
    ("script", {"VSCODE_PID": "7"}, (), (), ""),  # a script in the editor's terminal
    ("colab", {"COLAB_RELEASE_TAG": "release-colab_2025"}, (KERNEL,), ("/.dockerenv",), "In : "),
    ("colab", {}, (KERNEL, "google.colab"), (), "In : "),
    ("kaggle", {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, (KERNEL,), ("/.dockerenv",), "In : "),
    ("databricks", {"DATABRICKS_RUNTIME_VERSION": "15.4"}, (KERNEL,), (), "In : "),
    ("sagemaker", {"SM_TRAINING_ENV": "{}"}, (), ("/.dockerenv",), ""),
    ("sagemaker", {}, (KERNEL,), ("/opt/ml/metadata/resource-metadata.json",), "In : "),
    ("sagemaker", {"CI": "true", "SAGEMAKER_APP_TYPE": "JupyterLab"}, (), (), ""),
    ("ci", {"CI": "true"}, ("pytest",), ("/.dockerenv",), ""),
    ("ci", {"CI": "1", **RUNNING}, ("pytest",), (), ""),
    ("ci", {"GITHUB_ACTIONS": "true"}, (), (), ""),
    ("ci", {"GITLAB_CI": "true"}, (), (), ""),
    ("ci", {"JENKINS_URL": "https://ci.invalid/"}, (), (), ""),
    ("ci", {"TRAVIS": "true"}, (), (), ""),
    ("ci", {"CIRCLECI": "true"}, (), (), ""),
    ("ci", {"TF_BUILD": "True"}, (), (), ""),
    ("ci", {"BUILDKITE": "true"}, (), (), ""),
    ("ci", {"TEAMCITY_VERSION": "2025.1"}, (), (), ""),
    ("ci", {"APPVEYOR": "True"}, (), (), ""),
    ("ci", {"BITBUCKET_BUILD_NUMBER": "12"}, (), (), ""),
    ("ci", {"CODEBUILD_BUILD_ID": "x:1"}, (), (), ""),
    ("ci", {"CI": "true"}, (KERNEL,), (), "In : "),  # a notebook that a pipeline runs
    ("ci", {"CI": "\udcff"}, (), (), ""),  # bytes that are not text
    ("script", {"CI": "false", "TF_BUILD": "0", "GITLAB_CI": ""}, (), (), ""),
    ("test", RUNNING, ("pytest",), ("/.dockerenv",), ""),
    ("kubernetes", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (), ("/.dockerenv",), ""),
    ("kubernetes", {}, (), ("/var/run/secrets/kubernetes.io/serviceaccount",), ""),
    ("docker", {}, (), ("/.dockerenv",), ">>> "),
    ("docker", {"WSL_DISTRO_NAME": "Ubuntu"}, (), ("/.dockerenv",), ""),
    ("podman", {}, (), ("/run/.containerenv",), ""),
    ("podman", {"container": "podman"}, (), (), ""),
    ("container", {"container": "lxc"}, (), (), ""),
    ("container", {"APPTAINER_CONTAINER": "/images/x.sif"}, (), (), ""),
    ("container", {}, (), ("/run/systemd/container",), ""),
    ("wsl", {"WSL_DISTRO_NAME": "Ubuntu"}, (), (), "In : "),
    ("wsl", {}, (), ("/proc/sys/fs/binfmt_misc/WSLInterop",), ""),
]


@pytest.mark.parametrize(("expected", "environ", "modules", "files", "prompt"), RUNTIMES)
def test_the_runtime_is_the_first_whose_traces_match(
    expected: str, environ: dict[str, str], modules: tuple[str, ...], files: tuple[str, ...], prompt: str
) -> None:
    assert runtime_of(Traces(environ, modules, files.__contains__, prompt)) == expected


def test_the_runtimes_are_those_of_the_catalogue() -> None:
    assert {expected for expected, *_ in RUNTIMES} == set(catalogue.RUNTIMES) - {"other"}
    assert {runtime for runtime, _ in resource._RUNTIMES} <= set(catalogue.RUNTIMES)


@pytest.mark.parametrize(
    ("expected", "environ", "modules"),
    [
        (False, {}, ()),
        (False, {}, ("pytest", "_pytest.config")),  # imported by a script, not running
        (False, RUNNING, ()),  # a program that a test started
        (True, RUNNING, ("pytest",)),
        (True, {"PYTEST_VERSION": "8.4.1"}, ("pytest",)),
        (True, {}, ("pytest", "_pytest.skipping")),  # collecting, before pytest 8.2
    ],
)
def test_a_test_run_means_that_pytest_runs_in_this_process(
    expected: bool, environ: dict[str, str], modules: tuple[str, ...]
) -> None:
    assert is_test_run(environ, modules) is expected


TESTS = """
import unittest
from deepchecks_telemetry.spool import record
AT_IMPORT = __name__ != "__main__" and record("run-check")
class Test(unittest.TestCase):
    def test(self):
        print(AT_IMPORT, record("run-check"))
if __name__ == "__main__":
    unittest.main()
"""
USE = "import unittest.mock, unittest.case; from deepchecks_telemetry.spool import record; print(record('run-check'))"


@pytest.mark.parametrize("command", [("-m", "unittest", "test_x"), ("-m", "unittest", "discover"), ("test_x.py",)])
def test_a_run_of_unittest_records_nothing(
    command: tuple[str, ...], tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (tmp_path / "test_x.py").write_text(TESTS)
    bare_environment.pop("DEEPCHECKS_TELEMETRY")
    command = (sys.executable, *command)
    done = subprocess.run(command, cwd=tmp_path, env=bare_environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False\n", done.stderr
    assert run(USE, bare_environment) == "True"


def test_a_script_that_imports_pytest_is_not_a_test_run(bare_environment: dict[str, str]) -> None:
    assert is_test_run({}, sys.modules)
    script = "import os, sys, pytest; from deepchecks_telemetry.spool.consent import resource as e"
    assert run(f"{script}; print(e.is_test_run(os.environ, sys.modules))", bare_environment) == "False"


PLIST = "<key>ProductVersion</key>\n\t<string>{}</string>"


@pytest.mark.parametrize(
    ("platform", "release", "expected"),
    [
        ("linux", 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n', ("linux", "debian", "12")),
        ("linux", 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n', ("linux", "rhel", "9.4")),
        ("linux", "ID='ubuntu'\nVERSION_ID='22.04'\n", ("linux", "ubuntu", "22.04")),
        ("linux", "ID=alpine\nVERSION_ID=3.19.1\n", ("linux", "alpine", "3.19")),
        ("linux", "ID=arch\nBUILD_ID=rolling\n", ("linux", "arch", "unknown")),
        ("linux", "ID=opensuse-tumbleweed\nVERSION_ID=20250610\n", ("linux", "opensuse-tumbleweed", "unknown")),
        ("linux", "ID=acme-corp-linux\nVERSION_ID=7\n", ("linux", "acme-corp-linux", "unknown")),
        ("linux", "", ("linux", "other", "unknown")),
        ("linux", "\0\ufffd=\n==", ("linux", "other", "unknown")),
        ("darwin", PLIST.format("14.5.1"), ("darwin", "macos", "14.5")),
        ("darwin", PLIST.format("15"), ("darwin", "macos", "15")),
        ("darwin", "", ("darwin", "macos", "unknown")),
        ("win32", "10.0.19045", ("windows", "windows", "10")),
        ("win32", "10.0.22631", ("windows", "windows", "11")),
        ("win32", "6.3.9600", ("windows", "windows", "6.3")),
        ("freebsd14", "ID=freebsd\nVERSION_ID=14.1\n", ("freebsd", "freebsd", "14.1")),
        ("sunos5", "", ("sunos", "other", "unknown")),
    ],
)
def test_the_system_is_read_from_its_release_text(platform: str, release: str, expected: tuple[str, str, str]) -> None:
    assert system_of(platform, release) == expected


@pytest.mark.parametrize("name", ["deepchecks-0.19.1.dist-info", "Deepchecks-0.20.0rc1-py3.11.egg-info"])
def test_the_version_is_that_of_importlib_metadata(tmp_path: Path, name: str) -> None:
    for folder, project, version in ((name, "deepchecks", name.split("-")[1].removesuffix(".dist")), DECOY):
        (tmp_path / folder).mkdir()
        file = "METADATA" if folder.endswith("dist-info") else "PKG-INFO"
        (tmp_path / folder / file).write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
    (distribution,) = importlib.metadata.distributions(name="deepchecks", path=[str(tmp_path)])
    assert version_of([[], os.listdir(tmp_path)]) == distribution.version


DECOY = ("deepchecks_telemetry-9.9.dist-info", "deepchecks-telemetry", "9.9")


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        ("unknown", ["deepchecks", "deepchecks.egg-info", "deepchecks-1.0.zip", "~eepchecks-0.1.dist-info"]),
        ("0.19.1", ["deepchecks-0.19.1+acme.7.dist-info"]),
        ("0.19.1", ["deepchecks-0.19.1.dist-info", "deepchecks-0.18.0.dist-info"]),
    ],
)
def test_a_version_has_no_local_part_and_is_not_another_projects(expected: str, names: list[str]) -> None:
    assert version_of([names]) == expected


text = st.text(max_size=20)
words = (
    st.sampled_from(["deepchecks-", ".dist-info", "-py3", "ID=", "VERSION_ID=", "<string>", "0.1", "+", "\n"]) | text
)
mess = st.lists(words, max_size=8).map("".join)


@given(names=st.lists(mess), release=mess, platform=st.sampled_from(["linux", "darwin", "freebsd13", "aix"]) | text)
def test_only_values_of_the_catalogue_are_returned(names: list[str], release: str, platform: str) -> None:
    if platform == "win32":  # its release is three numbers from Python itself
        return
    values = (version_of([names]), *system_of(platform, release), platform, "3.11", platform)
    assert catalogue.is_allowed(resource._checked(values))


def test_the_version_of_windows_is_read_from_its_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "getwindowsversion", lambda: (10, 0, 22631, 2, ""), raising=False)
    assert resource.current.__wrapped__()[1:4] == ("windows", "windows", "11")


def test_free_text_becomes_other_or_unknown() -> None:
    values = ("acme-1", "beos", "acme-corp-linux", "acme", "acmepython", "3.11", "acme")
    assert resource._checked(values) == ("unknown", "other", "other", "unknown", "other", "3.11", "other")


def test_an_unreadable_system_is_unknown_without_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped, binary = tmp_path / "lib.zip", tmp_path / "os-release"
    zipped.write_bytes(b"PK\5\6")
    binary.write_bytes(b"ID=\xff\xfe\0" * 9)
    monkeypatch.setattr(sys, "path", [None, os.fsencode(tmp_path), str(zipped), str(tmp_path / "gone"), "nul\0nul"])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "ps1", object(), raising=False)
    monkeypatch.setattr(resource, "_OS_RELEASE", (str(tmp_path), str(tmp_path / "gone"), str(binary)))
    monkeypatch.setattr(resource, "_RUNTIMES", resource._RUNTIMES[-2:])  # the prompt
    values = resource.current.__wrapped__()
    assert values[:4] == ("unknown", "linux", "other", "unknown")
    assert (values.runtime, catalogue.is_allowed(values)) == ("repl", True)


def test_it_is_found_once_within_two_milliseconds_and_kept_across_a_fork(bare_environment: dict[str, str]) -> None:
    script = """
        import sys, time
        from deepchecks_telemetry.spool.consent import resource as environment
        heavy = {"importlib.metadata", "json", "pathlib", "plistlib"}
        loaded = sorted(heavy & set(sys.modules))
        before = set(sys.modules)
        took_ms = []
        for _ in range(5):
            environment.current.cache_clear()
            began = time.perf_counter()
            found = environment.current()
            took_ms.append((time.perf_counter() - began) * 1e3)
        loaded += sorted(set(sys.modules) - before)
        forked = environment.current() is found
        import os
        if hasattr(os, "fork"):
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                os._exit(0 if environment.current() is found else 1)
            forked = forked and os.waitpid(child, 0)[1] == 0
        import json
        print(json.dumps([min(took_ms), loaded, forked, found]))
    """
    took_ms, loaded, forked, found = json.loads(run(textwrap.dedent(script), bare_environment))
    assert took_ms < (2 if os.name == "posix" else 20)  # under Wine a system call takes longer
    assert loaded == []
    assert forked
    assert catalogue.is_allowed(tuple(found))
    assert found[4:6] == [sys.implementation.name, "{}.{}".format(*sys.version_info)]


@pytest.fixture
def bare_environment() -> dict[str, str]:
    """An environment without any sign of pytest, as in a user's shell."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def run(script: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()
