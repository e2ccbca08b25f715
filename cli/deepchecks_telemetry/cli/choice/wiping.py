"""Wiping what was recorded for one user, the report of it, and the check that nothing is left."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from deepchecks_telemetry.cli.choice.effect import sending_after_disable
from deepchecks_telemetry.cli.choice.evidence import describe_files
from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import count_text
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import find_residue
from deepchecks_telemetry.spool.wipe import Erased, erase_all

SETTINGS = ("endpoint", "notice")  # files in a user's configuration, beside the mode


def echo_wait() -> None:
    """Print why the command waits."""
    click.echo("An upload is in progress; waiting for it to finish.", err=True)


def wipe_user(home: Home, *, on_wait: Callable[[], None] = lambda: None, with_files: bool = False) -> dict[str, Any]:
    """Write the choice off and wipe, as the user of this process; returns the report that `disable --json` prints.

    `with_files` adds the size and SHA-256 of each file before and after, for `disable --report`.
    """
    files_before = describe_files(home) if with_files else []
    results = erase_all(home, on_wait=on_wait)
    scanned, residue = find_residue(home, [marker for result in results for marker in result.markers])
    return {
        "sending": sending_after_disable(home),
        "off": [result.home.mode for result in results],
        "wiped": [result.home.state for result in results],
        "removed": _count(results),
        "removed_files": [path for result in results for path in result.removed],
        "left": [path for result in results for path in result.left],
        "kept_settings": [path for result in results for path in _settings(result.home)],
        "already_delivered": sum(result.before.delivered for result in results),
        "delivered_to": sorted({url for result in results for url in result.receivers}),
        "carried_away": [path for result in results for path in result.exports_left],
        "scanned": scanned,
        "residue": residue,
        **({"files_before": files_before, "files_after": describe_files(home)} if with_files else {}),
    }


def _settings(home: Home) -> list[str]:
    return [path for name in SETTINGS if os.path.lexists(path := os.path.join(home.config, name))]


def _count(results: Sequence[Erased]) -> dict[str, int]:
    accounts = [result.before for result in results]
    return {
        "events": sum(before.pending + before.sealed + before.parked + before.exported for before in accounts),
        "rows": sum(before.rows for before in accounts),
        "batches": sum(before.batches for before in accounts),
        "identifiers": sum(before.installation_id is not None for before in accounts),
        "files": sum(len(result.removed) for result in results),
    }


def report_lines(report: dict[str, Any]) -> list[str]:
    """The lines that `disable` prints."""
    removed = report["removed"]
    *counts, last = [count_text(removed[noun], noun[:-1] if noun != "batches" else "batch") for noun in removed]
    lines = [
        "Telemetry is off, for all environments of this user.",
        report["sending"],
        f"Removed: {', '.join(counts)} and {last}.",
        *(f"Removed file: {path}" for path in report["removed_files"]),
        *(f"Wrote off to {mode} and wiped {state}" for mode, state in zip(report["off"], report["wiped"], strict=True)),
    ]
    if report["already_delivered"]:
        receivers = f" to {', '.join(report['delivered_to'])}" if report["delivered_to"] else ""
        events = count_text(report["already_delivered"], "event")
        lines.append(f"Already delivered{receivers}: {events}, which the receiver keeps.")
    if exported := report["carried_away"]:
        lines.append(f"Exported files that were not removed (moved, changed or not accessible): {', '.join(exported)}.")
    if kept := report["kept_settings"]:
        lines.append(f"Settings are kept: {', '.join(kept)}. To remove them: deepchecks telemetry purge")
    outcome = "recorded data was found" if report["residue"] else "no recorded data is left"
    return [*lines, f"Scanned {count_text(report['scanned'], 'telemetry file')}: {outcome}."]


def check_wiped(report: dict[str, Any]) -> None:
    """Fail where a file could not be removed or still contains recorded data, naming each such file."""
    if report["left"]:
        raise CliError(f"Could not remove {', '.join(report['left'])}. Remove it by hand, or run disable again.")
    if report["residue"]:
        paths = ", ".join(report["residue"])
        raise CliError(
            f"Recorded data is left in {paths}. Close the programs that have it open, then run disable again."
        )
