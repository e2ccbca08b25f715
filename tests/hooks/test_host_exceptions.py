"""Exceptions of the host's signal handlers reach the host while our code runs; no other exception does."""

import functools
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.hooks import attach, wrappers
from deepchecks_telemetry.hooks.attach import on_import
from deepchecks_telemetry.spool.errors import is_host_exception

Run = Callable[..., subprocess.CompletedProcess[str]]
LastJson = Callable[[subprocess.CompletedProcess[str]], Any]

SCRIPT = str(Path(__file__).with_name("scripts") / "interrupts.py")
pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")


class HostError(Exception):
    pass


def fail(*_: object) -> None:
    raise HostError("raised by the host")


def fail_without_arguments(number: int, frame: object) -> None:
    del number, frame
    fail()


def fail_once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    fail()


class Failing:
    def __call__(self, number: int, frame: object) -> None:
        del number, frame
        fail()

    method = __call__


def refuse(*_: object) -> None:
    raise HostError("raised by the host, and not by its handler")


def interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGUSR1)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """A host whose handler of SIGUSR1 raises an exception."""
    before = signal.signal(signal.SIGUSR1, fail)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "how",
    [
        "HostError",
        "arguments deleted",
        "partial",
        "object",
        "method",
        "lambda",
        pytest.param(
            "TimeoutError",
            marks=pytest.mark.xfail(reason="where the spool catches OSError, it catches TimeoutError too"),
        ),
    ],
)
def test_every_exception_of_a_signal_handler_reaches_the_host(
    run: Run, last_json: LastJson, library: str, how: str
) -> None:
    result = last_json(run(SCRIPT, how, "500", PYTHONPATH=library))
    assert result == {"raised": 500, "reached": 500, "running": False}


def test_every_exception_sent_to_the_thread_reaches_the_host(run: Run, last_json: LastJson, library: str) -> None:
    result = last_json(run(SCRIPT, "sent to the thread", "500", PYTHONPATH=library))
    assert result == {"raised": 500, "reached": 500, "running": False}


HANDLERS: dict[str, Any] = {
    "function": fail,
    "arguments deleted": fail_without_arguments,
    "lambda": lambda *_: fail(),
    "partial": functools.partial(fail_without_arguments),
    "object": Failing(),
    "method": Failing().method,
    "uninstalls itself": fail_once,
}


@pytest.mark.parametrize("how", HANDLERS)
def test_an_exception_of_a_handler_is_the_hosts_however_the_handler_is_written(how: str) -> None:
    handler: Any = HANDLERS[how]
    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(HostError) as raised:
        interrupt()
    assert is_host_exception(raised.value)


@pytest.mark.parametrize("error", [HostError("of the host"), OSError(28, "no space"), ImportError("sqlite3")])
def test_an_exception_of_code_that_we_call_is_not_the_hosts(error: Exception) -> None:
    """For example of a patched function, an audit hook or a broken module."""

    def raise_it() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        raise_it()
    assert not is_host_exception(raised.value)


def lazy_module(monkeypatch: pytest.MonkeyPatch, on_access: Callable[[str], Any]) -> types.ModuleType:
    """A module of deepchecks that runs code when one of its names is looked up."""
    module = types.ModuleType("deepchecks.tabular.suite")
    vars(module)["__getattr__"] = on_access
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize("call", ["on_import", "attach"])
def test_an_error_of_deepchecks_while_targets_are_applied_is_not_the_hosts(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    module = lazy_module(monkeypatch, refuse)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    on_import(module) if call == "on_import" else attach()


@pytest.mark.parametrize("call", ["on_import", "attach"])
def test_an_exception_of_a_signal_handler_while_targets_are_applied_is_the_hosts(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    module = lazy_module(monkeypatch, interrupt)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    with pytest.raises(HostError):
        on_import(module) if call == "on_import" else attach()


def test_a_signal_during_the_record_leaves_the_thread_outside_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrappers, "_recorder", lambda: interrupt)
    with pytest.raises(HostError):
        wrappers.count_run(lambda: "a result", "run-check")()
    with pytest.raises(HostError):
        wrappers.count_export(lambda: "a result", "check-to-html")()
    assert (wrappers.INSIDE.running, wrappers.INSIDE.exporting) == (False, False)


AT_THE_FIRST_IMPORT = """
import signal, sys
class HostError(Exception): pass
def fail(*_): raise HostError("raised by the host")
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "deepchecks_telemetry.hooks":
            {act}
signal.signal(signal.SIGUSR1, fail)
sys.meta_path.insert(1, Finder)
try:
    import deepchecks
    print("imported")
except HostError:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("act", "printed"), [("signal.raise_signal(signal.SIGUSR1)", "interrupted\n"), ("raise HostError", "imported\n")]
)
def test_a_signal_while_the_attach_file_attaches_is_the_hosts_and_a_damaged_package_is_not(
    run: Run, attached: str, library: str, act: str, printed: str
) -> None:
    assert run("-c", AT_THE_FIRST_IMPORT.format(act=act), python=attached, PYTHONPATH=library).stdout == printed
