"""Calls back when a watched module has been executed, whichever loader executes it; other modules are not affected.

At any time one finder of this package is in `sys.meta_path`. The package can be imported more than once in a process:
reloaders (Spyder, PyCharm) and `mock.patch.dict(sys.modules)` remove modules and import them again, and the finder of
the previous copy stays.
"""

import sys
from collections.abc import Callable, Container, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

OnImport = Callable[[ModuleType], None]


class NotifyingFinder:
    """Finds a watched module through the other finders, and wraps its loader in a `NotifyingLoader`."""

    # Identifies the finders of all copies of this package, whose classes differ; pth/startup.py has it too.
    is_deepchecks_telemetry_finder = True

    def __init__(self, watched: Container[str], on_import: OnImport, state: Any = None) -> None:
        self.watched = watched
        self.on_import = on_import
        self.state = state  # outlives this copy of the package: the finder of the next copy takes it over

    def install(self) -> None:
        """Replace the finder of an earlier copy of this package in `sys.meta_path`, and take over its state."""
        older = [finder for finder in sys.meta_path if is_own_finder(finder) and finder is not self]
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
        """Find a watched module through the other finders; None for every other module."""
        if name not in self.watched:
            return None
        spec = self._find_with_others(name, path, target)
        # A loader of the old protocol, which only has `load_module`, is not wrapped.
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = NotifyingLoader(spec.loader, self.on_import)  # type: ignore[assignment]
        return spec

    def _find_with_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        # Without own finders, which would call each other endlessly; on a copy, because a finder may remove itself.
        for finder in list(sys.meta_path):
            find_spec = None if is_own_finder(finder) else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


def is_own_finder(finder: object) -> bool:
    """Whether a finder belongs to any copy of this package."""
    return getattr(finder, "is_deepchecks_telemetry_finder", None) is True


class NotifyingLoader:
    """Loads with the real loader, makes only that loader visible in the module, and then calls back."""

    def __init__(self, loader: Any, on_import: OnImport) -> None:
        self.loader = loader
        self.on_import = on_import

    def __getattr__(self, name: str) -> Any:
        # A spec that is never loaded still gives access to the source and the resources of the module.
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module with the real loader."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and call back when it is complete."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.on_import(module)
