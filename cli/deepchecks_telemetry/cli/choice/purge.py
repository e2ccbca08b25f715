"""`purge`: remove all of our files of this user and this environment, except the choice `off`."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from deepchecks_telemetry.cli.choice.wiping import SETTINGS, check_wiped, echo_wait, wipe_user
from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import echo_json, echo_line, json_option
from deepchecks_telemetry.hooks.builtin_telemetry import remove_user_id
from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.hooks.pth.file import remove_file
from deepchecks_telemetry.spool.batches.export_files import find_ledger
from deepchecks_telemetry.spool.files.atomic import TEMPORARY
from deepchecks_telemetry.spool.files.paths import Home, find_home
from deepchecks_telemetry.spool.wipe import remove_files

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = ("spool.lock", "upload.lock")
LEDGER = ("ledger.db", "ledger.db-journal", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock")


@click.command()
@json_option
def purge(*, as_json: bool) -> None:
    """Turn telemetry off, and remove all of its files for this user.

    Does what disable does, and also removes the endpoint and its headers. Removes from this virtual environment the
    file that attach wrote, and the identifier that deepchecks' own telemetry left. The choice off is kept. In other
    virtual environments, run detach.

    \b
    Example:
      deepchecks telemetry purge
    """
    home = find_home()
    report = wipe_user(home, on_wait=echo_wait)
    removed, left = _remove(home)
    problems = _clean_environment(removed)
    report |= {"removed_files": [*report["removed_files"], *removed], "left": [*report["left"], *left]}
    report |= {"kept_settings": [], "problems": problems}
    if as_json:
        echo_json(report)
    else:
        _echo_report(report)
    check_wiped(report)
    if problems:
        raise CliError(" ".join(problems))


def _echo_report(report: dict[str, Any]) -> None:
    for path in report["removed_files"]:
        echo_line(f"Removed: {path}")
    for path in report["carried_away"]:
        echo_line(f"Exported file that was not removed (moved, changed or not accessible): {path}")
    echo_line(f"Kept: the choice off in {' and '.join(report['off'])}, for all environments of this user.")


def _remove(home: Home) -> tuple[list[str], list[str]]:
    paths = []
    for place in home.with_default:
        # The emptied spool, and the locks: while the fence is closed and the choice is off, no process creates them.
        paths += _files(place.state, lambda name: name.startswith("spool.db") or name in LOCKS)
        paths += _files(place.config, lambda name: name in SETTINGS or TEMPORARY.search(name) is not None)
        paths += _ledger(place)
    removed, left = remove_files(paths)
    for place in home.with_default:
        for folder in (place.state, os.path.dirname(_ledger(place)[0])):
            with suppress(OSError):  # it contains a file of another program
                os.rmdir(folder)
    return list(removed), list(left)


def _ledger(home: Home) -> list[str]:
    folder = os.path.dirname(find_ledger(home))
    return [os.path.join(folder, name) for name in LEDGER]


def _files(folder: str, is_ours: Callable[[str], bool]) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if is_ours(name)]
    except OSError:
        return []


def _clean_environment(removed: list[str]) -> list[str]:
    """Remove our files of this virtual environment and add them to `removed`; returns the reasons for failures."""
    removers: tuple[Callable[[], Path | None], ...] = (remove_file, remove_user_id)
    problems = []
    for remove in removers:
        try:
            path = remove()
        except HooksError as error:
            problems.append(str(error))
        else:
            removed.extend([str(path)] if path else [])
    return problems
