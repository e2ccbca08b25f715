"""Tells which targets the installed deepchecks has, by reading its source: nothing of it is imported or executed."""

from pathlib import Path

from deepchecks_telemetry.hooks.targets import ROOT, TARGETS, Target


def deepchecks_folder() -> Path | None:
    """Where the installed deepchecks lies; None if it is not installed here."""
    from importlib.util import find_spec

    spec = find_spec(ROOT)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def missing_targets(folder: Path | None = None) -> tuple[Target, ...]:
    """The targets that are not where they are expected: what they stand for is not counted. All, if not installed."""
    folder = folder or deepchecks_folder()
    if folder is None:
        return TARGETS
    names = {module: _names(_source(folder, module)) for module in {target.module for target in TARGETS}}
    return tuple(target for target in TARGETS if target.name not in names[target.module])


def _source(folder: Path, module: str) -> str | None:
    """The module's text; None if it is not there as text."""
    place = folder.joinpath(*module.split(".")[1:])
    found = [path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]
    return found[0].read_text(encoding="utf-8", errors="replace") if found else None


def _names(source: str | None) -> set[str]:
    """What a module defines: the empty name for itself, its variables, and `Class.method`."""
    import ast  # here, because the host attaches and never surveys

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
