"""The finder calls back when a watched module is complete, leaves no trace in it, and is the only own finder."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deepchecks_telemetry import hooks
from deepchecks_telemetry.hooks.import_hook import NotifyingFinder

Run = Callable[..., subprocess.CompletedProcess[str]]
Counts = dict[str, int]
LastJson = Callable[[subprocess.CompletedProcess[str]], Any]

RELOADS = str(Path(__file__).with_name("scripts") / "reloads.py")


@pytest.fixture
def imported() -> list[str]:
    return []


@pytest.fixture
def package(tmp_path: Path, imported: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "watched_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("VALUE = 1\n")
    (folder / "inner.py").write_text("VALUE = 2\n")
    (folder / "broken.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def on_import(module: ModuleType) -> None:
        imported.append(f"{module.__name__} {module.VALUE}")

    watched = {"watched_package", "watched_package.inner", "watched_package.broken", "not_installed_anywhere"}
    monkeypatch.setattr(sys, "meta_path", [NotifyingFinder(watched, on_import), *sys.meta_path])
    yield folder
    for name in [name for name in sys.modules if name.startswith("watched_package")]:
        del sys.modules[name]


def test_the_callback_gets_a_complete_module_and_gets_it_again_on_reload(package: Path, imported: list[str]) -> None:
    module = importlib.import_module("watched_package.inner")
    assert imported == ["watched_package 1", "watched_package.inner 2"]
    importlib.reload(module)
    assert imported[2:] == ["watched_package.inner 2"]


def test_the_loaded_module_shows_the_real_loader(package: Path) -> None:
    module = importlib.import_module("watched_package")
    assert module.__spec__ is not None
    for loader in (module.__loader__, module.__spec__.loader):
        assert type(loader).__module__ == "_frozen_importlib_external"


def test_find_spec_without_an_import_does_not_call_back_and_gives_the_source(
    package: Path, imported: list[str]
) -> None:
    spec = importlib.util.find_spec("watched_package")
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source("watched_package") == "VALUE = 1\n"  # type: ignore[attr-defined]
    assert imported == []


def test_a_failing_import_raises_the_usual_error(package: Path, imported: list[str]) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        importlib.import_module("watched_package.broken")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        importlib.import_module("not_installed_anywhere")
    assert imported == ["watched_package 1"]


def test_other_modules_are_not_looked_up(package: Path) -> None:
    finder = sys.meta_path[0]
    assert finder.find_spec("json", None, None) is None


@pytest.mark.parametrize("how", ["nothing", "ours", "deepchecks", "both", "a second copy", "mock.patch.dict"])
def test_after_many_reloads_there_is_one_finder_and_each_call_was_counted_once(
    run: Run, recorded: Callable[[], Counts], last_json: LastJson, library: str, tmp_path: Path, how: str
) -> None:
    second = tmp_path / "second"
    shutil.copytree(Path(hooks.__file__).parent, second / "deepchecks_telemetry" / "hooks")
    result = last_json(run(RELOADS, how, str(second), PYTHONPATH=library))
    assert result["finders"] == 1
    # An older copy lives as long as a method that it wrapped: the first copy, if deepchecks is not reloaded.
    assert result["alive"] <= {"nothing": 100, "deepchecks": 100}.get(how, 1)
    assert recorded() == {"package-import": 1, "run-check": result["runs"]}


def test_two_own_finders_do_not_call_each_other(package: Path, imported: list[str]) -> None:
    sys.meta_path.insert(0, NotifyingFinder({"watched_package"}, lambda _: imported.append("an older copy")))
    importlib.import_module("watched_package")
    assert imported == ["an older copy"]


def test_a_finder_replaces_those_of_other_copies_and_takes_their_state(monkeypatch: pytest.MonkeyPatch) -> None:
    others = list(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", list(others))
    older, newer = (NotifyingFinder((), lambda _: None, state) for state in ("counted", "fresh"))
    for finder in (older, newer, newer):
        finder.install()
        assert sys.meta_path == [finder, *others]
    assert newer.state == "counted"


class OldLoader(importlib.abc.Loader):
    """A loader from before PEP 451, which only has `load_module`."""

    def __getattribute__(self, name: str) -> Any:
        if name in {"exec_module", "create_module"}:
            raise AttributeError(name)
        return super().__getattribute__(name)


def test_a_loader_of_the_old_protocol_is_not_wrapped(package: Path) -> None:
    class OldFinder:
        def find_spec(
            self, name: str, _: Sequence[str] | None, __: ModuleType | None = None
        ) -> importlib.machinery.ModuleSpec | None:
            return importlib.machinery.ModuleSpec(name, OldLoader()) if name == "not_installed_anywhere" else None

    sys.meta_path.insert(1, OldFinder())
    spec = sys.meta_path[0].find_spec("not_installed_anywhere", None, None)
    assert spec is not None
    assert type(spec.loader) is OldLoader
