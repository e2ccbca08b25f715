"""`disable`: turn telemetry off and wipe what was recorded, for this user, or for all users of a machine."""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import click

from deepchecks_telemetry.cli.choice.evidence import check_new, write_report
from deepchecks_telemetry.cli.choice.wiping import check_wiped, echo_wait, report_lines, wipe_user
from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import echo_json, echo_line, json_option
from deepchecks_telemetry.spool.files.paths import find_home

USERS = (
    "Disable for several users; needs root. If you give home directories (HOME), disable only for their owners. "
    "Otherwise, disable for root, and for each user whose ID is at least 1000 (500 on macOS) and whose home directory "
    "exists."
)


@click.command()
@click.option("--all-users", is_flag=True, help=USERS)
@click.argument("homes", metavar="[HOME]...", nargs=-1, type=click.Path(exists=True, file_okay=False))
@click.option(
    "--report",
    "path",
    metavar="FILE",
    type=click.Path(),
    help="Also write a report to a new FILE: what was done, and the telemetry files before and after, each with its "
    "SHA-256.",
)
@json_option
def disable(*, all_users: bool, homes: Sequence[str], path: str | None, as_json: bool) -> None:
    """Turn telemetry off, and wipe what was recorded.

    This applies to all virtual environments and running processes of this user. It also wipes the installation
    identifier, and the ledger (the list of batches sent by `deliver`). Exported files are wiped too, unless they were
    changed or moved. The endpoint and its headers are kept; purge removes them too. With
    --all-users, a separate process runs as each user, so that root creates no files in their directories.

    \b
    Examples:
      deepchecks telemetry disable
      deepchecks telemetry disable --report evidence.json
      deepchecks telemetry disable --all-users
      deepchecks telemetry disable --all-users /home/jane /srv/home/john
    """
    if homes and not all_users:
        raise click.UsageError("HOME arguments need --all-users.")
    started = check_new(path)
    if all_users:
        _disable_all(homes, path, started, as_json=as_json)
        return
    report = wipe_user(find_home(), on_wait=echo_wait, with_files=path is not None)
    if path is not None:
        user_id = getattr(os, "geteuid", lambda: None)()  # Windows has no such number
        write_report(path, started, [{"user_id": user_id, "home": None, "error": None, "facts": report}])
    if as_json:
        echo_json(report)
    else:
        for line in report_lines(report):
            echo_line(line)
    check_wiped(report)


def _disable_all(homes: Sequence[str], path: str | None, started: float, *, as_json: bool) -> None:
    results = []
    for result in _wipe_users(homes, with_files=path is not None):
        results.append(result)
        if not as_json:
            _echo_result(result)
    if path is not None:
        write_report(path, started, results)
    if as_json:
        echo_json(results)
    if failed := [result["home"] for result in results if result["error"]]:
        raise CliError(f"Not wiped for {', '.join(failed)}. See the errors above.")


def _wipe_users(homes: Sequence[str], *, with_files: bool) -> Iterator[dict[str, Any]]:
    if sys.platform != "win32":
        from deepchecks_telemetry.cli.choice.users import find_users, run_as  # imports pwd, which Windows lacks

        if os.geteuid() != 0:
            raise CliError("--all-users needs root, because it runs as each user. Run it with sudo.")
        for user in find_users(homes):
            result = run_as(user, partial(wipe_user, with_files=with_files))
            yield {"user": user.name, "user_id": user.number, "home": user.home, **result}
    else:
        raise CliError("--all-users is not available on Windows. Run disable as each user.")


def _echo_result(result: dict[str, Any]) -> None:
    title = f"{result['user']} ({result['home']})"
    if result["facts"]:
        for line in report_lines(result["facts"]):
            echo_line(f"{title}: {line}", indent=2)
    if result["error"]:
        echo_line(f"{title}: Error: {result['error']}", indent=2, err=True)
