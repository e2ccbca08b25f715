"""`disable`: off for every environment of a user, or of all users of a machine; wiped, and shown to be wiped."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from deepchecks_telemetry.cli.errors import Failure
from deepchecks_telemetry.cli.output import count_text, json_option, say_json, say_line
from deepchecks_telemetry.spool.files.paths import Home, find_home

if TYPE_CHECKING:
    from deepchecks_telemetry.spool.wipe import Erased

SETTINGS = ("endpoint", "notice", "told")  # in a user's configuration, beside the mode
USERS = "Default: every user of this machine that has a home directory."


@click.command()
@click.option("--all-users", "all_users", is_flag=True, help=f"As root, disable for the owner of each HOME. {USERS}")
@click.argument("homes", metavar="[HOME]...", nargs=-1, type=click.Path(exists=True, file_okay=False))
@json_option
def disable(*, all_users: bool, homes: Sequence[str], as_json: bool) -> None:
    """Stop recording, and wipe what was recorded.

    This applies to all virtual environments of this user, including running processes, and also wipes the installation
    identifier. Settings (the endpoint and its headers) are kept; to remove them too, use purge. With --all-users, a
    process runs as each user, so that root leaves no files in their directories.

    \b
    Examples:
      deepchecks telemetry disable
      deepchecks telemetry disable --all-users
      deepchecks telemetry disable --all-users /home/jane /srv/home/john
    """
    if homes and not all_users:
        raise click.UsageError("HOME arguments need --all-users.")
    if all_users:
        _disable_all(homes, as_json=as_json)
        return
    facts = disable_user(find_home(), on_wait=_say_wait)
    if as_json:
        say_json(facts)
    else:
        for line in lines(facts):
            say_line(line)
    check_gone(facts)


def _say_wait() -> None:
    click.echo("An upload is in progress; waiting for it to finish.", err=True)


def disable_user(home: Home, *, on_wait: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Choose off and wipe, as the user that this process is; what `disable --json` prints."""
    from deepchecks_telemetry.cli.effect import say_off
    from deepchecks_telemetry.spool.wipe import erase_all, find_residue

    erased = erase_all(home, on_wait=on_wait)
    scanned, residue = find_residue(home, [marker for each in erased for marker in each.markers])
    return {
        "sending": say_off(home),
        "off": [each.home.mode for each in erased],
        "wiped": [each.home.state for each in erased],
        "removed": _count(erased),
        "removed_files": [path for each in erased for path in each.removed],
        "left": [path for each in erased for path in each.left],
        "kept_settings": [path for each in erased for path in _settings(each.home)],
        "already_delivered": sum(each.before.delivered for each in erased),
        "delivered_to": sorted({url for each in erased for url in each.receivers}),
        "carried_away": [path for each in erased for path in each.exports_left],
        "scanned": scanned,
        "residue": residue,
    }


def _settings(place: Home) -> list[str]:
    return [path for name in SETTINGS if os.path.lexists(path := os.path.join(place.config, name))]


def _count(erased: "Sequence[Erased]") -> dict[str, int]:
    books = [each.before for each in erased]
    return {
        "events": sum(before.pending + before.sealed + before.parked + before.exported for before in books),
        "rows": sum(before.rows for before in books),
        "batches": sum(before.batches for before in books),
        "identifiers": sum(before.installation_id is not None for before in books),
        "files": sum(each.files for each in erased),
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """What `disable` prints."""
    removed = facts["removed"]
    *nouns, last = [count_text(removed[noun], noun[:-1] if noun != "batches" else "batch") for noun in removed]
    said = [
        "Telemetry is off, for all environments of this user.",
        facts["sending"],
        f"Removed: {', '.join(nouns)} and {last}.",
        *(f"Removed file: {path}" for path in facts["removed_files"]),
        *(f"Wrote off to {mode} and wiped {state}" for mode, state in zip(facts["off"], facts["wiped"], strict=True)),
    ]
    if facts["already_delivered"]:
        where = f" to {', '.join(facts['delivered_to'])}" if facts["delivered_to"] else ""
        said.append(
            f"Already delivered{where}: {count_text(facts['already_delivered'], 'event')}, which the receiver keeps."
        )
    if carried := facts["carried_away"]:
        said.append(f"Exported files that were not removed (moved, changed or not accessible): {', '.join(carried)}.")
    if kept := facts["kept_settings"]:
        said.append(f"Settings are kept: {', '.join(kept)}. To remove them: deepchecks telemetry purge")
    found = "recorded data was found" if facts["residue"] else "no recorded data is left"
    return [*said, f"Scanned {count_text(facts['scanned'], 'telemetry file')}: {found}."]


def check_gone(facts: dict[str, Any]) -> None:
    """Fail where a file could not be removed, or still holds something, naming each."""
    if facts["left"]:
        raise Failure(f"Could not remove {', '.join(facts['left'])}. Remove it by hand, or run disable again.")
    if facts["residue"]:
        found = ", ".join(facts["residue"])
        raise Failure(
            f"Recorded data is left in {found}. Close the programs that have it open, then run disable again."
        )


def _disable_all(homes: Sequence[str], *, as_json: bool) -> None:
    visits = []
    for visit in _visits(homes):
        visits.append(visit)
        if not as_json:
            _say_visit(visit)
    if as_json:
        say_json(visits)
    if failed := [visit["home"] for visit in visits if visit["error"]]:
        raise Failure(f"Not wiped for {', '.join(failed)}. See the errors above.")


def _visits(homes: Sequence[str]) -> Iterator[dict[str, Any]]:
    if sys.platform != "win32":
        from deepchecks_telemetry.cli.users import find_users, visit

        if os.geteuid() != 0:
            raise Failure("--all-users needs root, because it runs as each user. Run it with sudo.")
        for user in find_users(homes):
            yield {"user": user.name, "home": user.home, **visit(user, disable_user)}
    else:
        raise Failure("--all-users is not available on Windows. Run disable as each user.")


def _say_visit(visit: dict[str, Any]) -> None:
    title = f"{visit['user']} ({visit['home']})"
    if visit["facts"]:
        for line in lines(visit["facts"]):
            say_line(f"{title}: {line}", indent=2)
    if visit["error"]:
        say_line(f"{title}: Error: {visit['error']}", indent=2, err=True)
