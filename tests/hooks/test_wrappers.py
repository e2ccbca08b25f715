"""Wrapped methods are counted once, at the right time, and otherwise unchanged."""

import importlib.util
import inspect
import pickle
import subprocess
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepchecks_telemetry.hooks import wrappers

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []

    def keep(event: str) -> bool:
        events.append(event)
        return True

    monkeypatch.setattr(wrappers, "_recorder", lambda: keep)
    return events


class Check:
    def run(self, number: int = 0, *, fail: bool = False) -> int:
        """Run the check."""
        if fail:
            raise ValueError("the check failed")
        return number

    def save(self, *, fail: bool = False) -> str:
        if fail:
            raise OSError("no space left")
        return "saved"

    def deprecated(self) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=2)


class Outer(Check):
    def run(self, number: int = 0, *, fail: bool = False) -> int:
        return super().run(number, fail=fail) + Check().run(number)

    def save(self, *, fail: bool = False) -> str:
        return Check().save(fail=fail)


PLAIN = Check.run
Check.run = wrappers.count_run(Check.run, "run-check")  # type: ignore[method-assign]
Check.save = wrappers.count_export(Check.save, "check-to-html")  # type: ignore[method-assign]
Check.deprecated = wrappers.count_run(Check.deprecated, "run-check")  # type: ignore[method-assign]


def test_a_run_is_counted_at_entry_so_that_a_failing_one_counts(counted: list[str]) -> None:
    assert Check().run(3) == 3
    with pytest.raises(ValueError, match="the check failed"):
        Check().run(fail=True)
    Check().run()
    assert counted == ["run-check"] * 3


def test_an_export_is_counted_after_success_only(counted: list[str]) -> None:
    with pytest.raises(OSError, match="no space"):
        Check().save(fail=True)
    assert counted == []
    assert Check().save() == "saved"
    assert counted == ["check-to-html"]


def test_only_the_outermost_call_is_counted(counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outer, "run", wrappers.count_run(Outer.run, "run-suite"))
    assert Outer().run(2) == 4
    assert counted == ["run-suite"]
    with pytest.raises(ValueError, match="failed"):
        Outer().run(fail=True)
    Check().run()
    assert counted == ["run-suite", "run-suite", "run-check"]


def test_an_export_inside_a_run_is_counted(counted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    saving = wrappers.count_run(lambda _: Check().save(), "run-check")
    assert saving(None) == "saved"
    assert counted == ["run-check", "check-to-html"]


def test_a_target_without_an_event_prevents_nested_exports_from_being_counted(counted: list[str]) -> None:
    assert wrappers.count_export(Outer.save, "")(Outer()) == "saved"
    assert counted == []


def test_a_method_wrapped_twice_is_counted_once(counted: list[str]) -> None:
    twice = wrappers.count_run(Check.run, "run-check")
    twice(Check())
    assert counted == ["run-check"]


def test_outermost_calls_are_tracked_per_thread(counted: list[str]) -> None:
    together = threading.Barrier(8)

    def work() -> None:
        Check().run()
        wait_inside(None)

    wait_inside = wrappers.count_run(lambda _: together.wait(10), "run-suite")
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(counted) == ["run-check"] * 8 + ["run-suite"] * 8


def test_our_own_errors_never_reach_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise ImportError("uninstalled while the host runs")

    monkeypatch.setattr(wrappers, "_recorder", broken)
    assert Check().run(5) == 5
    assert Check().save() == "saved"


def test_a_keyboard_interrupt_reaches_the_host(monkeypatch: pytest.MonkeyPatch, counted: list[str]) -> None:
    def interrupted(event: str) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wrappers, "_recorder", lambda: interrupted)
        with pytest.raises(KeyboardInterrupt):
            Check().run()
    Check().run()
    assert counted == ["run-check"], "the interrupted run must not count as still running"


def test_signature_source_and_pickle_are_those_of_the_method(counted: list[str]) -> None:
    assert inspect.signature(Check.run) == inspect.signature(PLAIN)
    assert inspect.getsource(Check.run) == inspect.getsource(PLAIN)
    assert Check.run.__doc__ == "Run the check."
    # Pickled by name, like any function, so that it is loaded from the deepchecks of the reader.
    assert b"deepchecks_telemetry" not in pickle.dumps(Check.run)


@pytest.mark.parametrize("wrap", [wrappers.count_run, wrappers.count_export])
def test_a_copy_by_value_does_not_need_this_package_and_counts_nothing(
    counted: list[str], wrap: Callable[..., Any]
) -> None:
    """As cloudpickle pickles a function by value: its code, its globals and its cells one by one."""
    function = wrap(PLAIN, "run-check")
    assert [name for name in function.__code__.co_names if name in function.__globals__] == []
    cells = dict(zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__), strict=True))
    pickled = {name: pickle.dumps(value) for name, value in cells.items() if value is not PLAIN}
    assert [name for name, data in pickled.items() if b"deepchecks_telemetry" in data] == []
    copied = cells | {name: pickle.loads(data) for name, data in pickled.items()}
    closure = tuple(types.CellType(copied[name]) for name in function.__code__.co_freevars)
    copy = types.FunctionType(function.__code__, {}, "run", None, closure)
    assert [copy(Check(), 3), copy(Check(), number=4)] == [3, 4]
    with pytest.raises(ValueError, match="failed"):
        copy(Check(), fail=True)
    assert counted == []


@pytest.mark.real
@pytest.mark.skipif(not importlib.util.find_spec("cloudpickle"), reason="cloudpickle is not installed")
@pytest.mark.parametrize("where", ["load without this package", "load attached"])
def test_deepchecks_pickled_by_value_works_in_a_worker_as_if_unattached(
    run: Callable[..., subprocess.CompletedProcess[str]],
    recorded: Callable[[], dict[str, int]],
    library: str,
    where: str,
) -> None:
    script = str(Path(__file__).with_name("scripts") / "by_value.py")
    run(script, "save", PYTHONPATH=library)
    run(script, where)
    assert recorded() == {"package-import": 1, "run-check": 1}


def test_a_deprecation_still_points_at_the_users_line(counted: list[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Check().deprecated()
    assert [warning.filename for warning in caught] == [__file__]
