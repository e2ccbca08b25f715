"""Checks which targets the installed deepchecks has by reading its source, without importing or executing it."""

from pathlib import Path

from deepchecks_telemetry.hooks.targets import ROOT, TARGETS, Target


def deepchecks_folder() -> Path | None:
    """The directory of the installed deepchecks; None if it is not installed."""
    from importlib.util import find_spec

    spec = find_spec(ROOT)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


def missing_targets(folder: Path | None = None) -> tuple[Target, ...]:
    """The targets that do not exist, whose events are not counted; all targets if deepchecks is not installed."""
    folder = folder or deepchecks_folder()
    if folder is None:
        return TARGETS
    names = {module: _defined_names(_source(folder, module)) for module in {target.module for target in TARGETS}}
    return tuple(target for target in TARGETS if target.name not in names[target.module])


def _source(folder: Path, module: str) -> str | None:
    """The source of a module; None if there is none."""
    path = folder.joinpath(*module.split(".")[1:])
    files = [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
    return files[0].read_text(encoding="utf-8", errors="replace") if files else None


def _defined_names(source: str | None) -> set[str]:
    """The names that a module defines: "" for the module itself, its variables, and `Class.method`."""
    import ast  # not at the top, because a host never needs it

    def names_of(node: ast.stmt) -> list[str]:
        if isinstance(node, ast.ClassDef):
            return [f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef)]
        if isinstance(node, ast.Assign):
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        return []

    if source is None:
        return set()
    try:
        return {"", *(name for node in ast.parse(source).body for name in names_of(node))}
    except SyntaxError:
        return set()
