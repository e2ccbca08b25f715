"""`purge`: everything of ours is removed for this user and this environment; what it leaves is the word `off`."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from deepchecks_telemetry.cli.disable import SETTINGS, check_gone, disable_user
from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.output import json_option, say_json, say_line
from deepchecks_telemetry.spool.files.atomic import TEMPORARY
from deepchecks_telemetry.spool.files.paths import Home, find_home

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = ("spool.lock", "upload.lock")
LEDGER = ("ledger.db", "ledger.db-journal", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock")


@click.command()
@json_option
def purge(*, as_json: bool) -> None:
    """Turn telemetry off, and remove all of its files for this user.

    Does what disable does, and also removes the endpoint and its headers, the delivery ledger and, from this
    environment, the attach file and the identifier that deepchecks' own telemetry left there. In other environments,
    run detach.

    \b
    Example:
      deepchecks telemetry purge
    """
    home = find_home()
    facts = disable_user(
        home, on_wait=lambda: click.echo("An upload is in progress; waiting for it to finish.", err=True)
    )
    removed, left = _remove(home)
    problems = _clean_environment(removed)
    found = {**facts, "removed_files": [*facts["removed_files"], *removed], "left": [*facts["left"], *left]}
    found = {**found, "kept_settings": [], "problems": problems}
    if as_json:
        say_json(found)
    else:
        _say(found)
    check_gone(found)
    if problems:
        raise Failure(" ".join(problems))


def _say(facts: dict[str, Any]) -> None:
    for path in facts["removed_files"]:
        say_line(f"Removed: {path}")
    for path in facts["carried_away"]:
        say_line(f"Exported file that was not removed (moved, changed or not accessible): {path}")
    say_line(f"Kept: the choice off in {' and '.join(facts['off'])}, for all environments of this user.")


def _remove(home: Home) -> tuple[list[str], list[str]]:
    from deepchecks_telemetry.spool.wipe import remove_files

    paths = [path for place in home.with_default for path in (*_state(place), *_config(place), *_ledger(place))]
    removed, left = remove_files(paths)
    for place in home.with_default:
        for folder in (place.state, os.path.dirname(_ledger(place)[0])):
            with suppress(OSError):  # something of somebody else's is in it
                os.rmdir(folder)
    return list(removed), list(left)


def _state(place: Home) -> list[str]:
    """The emptied spool, and the locks: with the fence closed and the choice off nobody makes them again."""
    return _files(place.state, lambda name: name.startswith("spool.db") or name in LOCKS)


def _config(place: Home) -> list[str]:
    return _files(place.config, lambda name: name in SETTINGS or TEMPORARY.search(name) is not None)


def _ledger(place: Home) -> list[str]:
    from deepchecks_telemetry.spool.batches.export_files import find_ledger

    folder = os.path.dirname(find_ledger(place))
    return [os.path.join(folder, name) for name in LEDGER]


def _files(folder: str, belongs: Callable[[str], bool]) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if belongs(name)]
    except OSError:
        return []


def _clean_environment(removed: list[str]) -> list[str]:
    """Remove what is in this virtual environment; the reasons where it cannot be."""
    from deepchecks_telemetry.hooks import HooksError, remove_file, remove_user_id

    acts: tuple[Callable[[], Path | None], ...] = (remove_file, remove_user_id)
    problems = []
    for act in acts:
        try:
            path = act()
        except HooksError as error:
            problems.append(str(error))
        else:
            removed.extend([str(path)] if path else [])
    return problems
