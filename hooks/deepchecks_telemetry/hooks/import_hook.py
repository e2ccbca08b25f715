"""Calls back when a watched module has been executed, whichever loader executes it; other modules are not affected.

One finder of ours at a time is in `sys.meta_path`. This package can be imported more than once in a process: reloaders
(Spyder, PyCharm) and `mock.patch.dict(sys.modules)` remove modules and import them again, and their finders stay.
"""

import sys
from collections.abc import Callable, Container, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

OnImport = Callable[[ModuleType], None]


class NotifyingFinder:
    """Finds a watched module as the other finders do, and puts a `NotifyingLoader` around its loader."""

    # By this, not by their class, the finders of all copies of this package are recognised; pth/startup.py has it too.
    is_deepchecks_telemetry_finder = True

    def __init__(self, watched: Container[str], on_import: OnImport, state: Any = None) -> None:
        self.watched = watched
        self.on_import = on_import
        self.state = state  # what must outlive this copy of the package: the next copy's finder takes it over

    def install(self) -> None:
        """Be the one finder of ours in `sys.meta_path`, with the state of the one that was there before."""
        older = [finder for finder in sys.meta_path if is_ours(finder) and finder is not self]
        for finder in older:
            self.state = getattr(finder, "state", self.state)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for finder in older:
            try:
                sys.meta_path.remove(finder)
            except ValueError:  # another thread has removed it
                pass

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what the others find; `None` for every module that is not watched."""
        if name not in self.watched:
            return None
        spec = self._ask_others(name, path, target)
        # A loader of the old kind, which has only `load_module`, is left alone.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = NotifyingLoader(spec.loader, self.on_import)  # type: ignore[assignment]
        return spec

    def _ask_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        # Never another one of ours: two would ask each other for ever. A copy: a finder may take itself off the list.
        for finder in list(sys.meta_path):
            find_spec = None if is_ours(finder) else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


def is_ours(finder: object) -> bool:
    """Whether a finder belongs to any copy of this package."""
    return getattr(finder, "is_deepchecks_telemetry_finder", None) is True


class NotifyingLoader:
    """Loads with the real loader, leaves only that one visible in the module, and then calls back."""

    def __init__(self, loader: Any, on_import: OnImport) -> None:
        self.loader = loader
        self.on_import = on_import

    def __getattr__(self, name: str) -> Any:
        # A spec that was looked up and never loaded still gives access to the module's source and resources.
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the real loader."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and call back when it is complete."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.on_import(module)
