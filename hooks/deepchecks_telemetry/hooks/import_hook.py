"""Calls back whenever a watched module has been executed, whoever loads it; every other look-up passes through."""

import sys
from collections.abc import Callable, Container, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

OnImport = Callable[[ModuleType], None]


class NotifyingFinder:
    """Finds a watched module as the other finders do, and puts a `NotifyingLoader` around its loader."""

    def __init__(self, watched: Container[str], on_import: OnImport) -> None:
        self.watched = watched
        self.on_import = on_import

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what the others find; `None` for everything that is not watched."""
        if name not in self.watched:
            return None
        spec = self._ask_others(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = NotifyingLoader(spec.loader, self.on_import)  # type: ignore[assignment]
        return spec

    def _ask_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        # A copy: a finder asked here may take itself off the list.
        for finder in list(sys.meta_path):
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


class NotifyingLoader:
    """Loads with the real loader, puts that back where everybody looks for it, and then greets the module."""

    def __init__(self, loader: Any, on_import: OnImport) -> None:
        self.loader = loader
        self.on_import = on_import

    def __getattr__(self, name: str) -> Any:
        # A spec that was looked up and never loaded still answers for its source and its resources.
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the real loader."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute, without a trace of us in the module, and on_import when it is whole."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.on_import(module)
