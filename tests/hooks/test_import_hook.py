"""The finder: greets what it watches when it is whole, and leaves no trace in it."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from deepchecks_telemetry.hooks.import_hook import NotifyingFinder


@pytest.fixture
def greeted() -> list[str]:
    return []


@pytest.fixture
def package(tmp_path: Path, greeted: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "watched_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("VALUE = 1\n")
    (folder / "inner.py").write_text("VALUE = 2\n")
    (folder / "broken.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def on_import(module: ModuleType) -> None:
        greeted.append(f"{module.__name__} {module.VALUE}")

    watched = {"watched_package", "watched_package.inner", "watched_package.broken", "not_installed_anywhere"}
    monkeypatch.setattr(sys, "meta_path", [NotifyingFinder(watched, on_import), *sys.meta_path])
    yield folder
    for name in [name for name in sys.modules if name.startswith("watched_package")]:
        del sys.modules[name]


def test_a_watched_module_is_greeted_whole_and_again_on_reload(package: Path, greeted: list[str]) -> None:
    module = importlib.import_module("watched_package.inner")
    assert greeted == ["watched_package 1", "watched_package.inner 2"]
    importlib.reload(module)
    assert greeted[2:] == ["watched_package.inner 2"]


def test_the_loaded_module_shows_the_real_loader(package: Path) -> None:
    module = importlib.import_module("watched_package")
    assert module.__spec__ is not None
    for loader in (module.__loader__, module.__spec__.loader):
        assert type(loader).__module__ == "_frozen_importlib_external"


def test_a_look_up_without_an_import_greets_nobody_and_still_answers(package: Path, greeted: list[str]) -> None:
    spec = importlib.util.find_spec("watched_package")
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source("watched_package") == "VALUE = 1\n"  # type: ignore[attr-defined]
    assert greeted == []


def test_a_module_that_fails_fails_as_before(package: Path, greeted: list[str]) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        importlib.import_module("watched_package.broken")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        importlib.import_module("not_installed_anywhere")
    assert greeted == ["watched_package 1"]


def test_other_modules_pass_it_by(package: Path) -> None:
    finder = sys.meta_path[0]
    assert finder.find_spec("json", None, None) is None
