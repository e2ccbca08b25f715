"""`doctor`: everything that can be wrong, a line each, with the remedy; exit code 1 when something is."""

import dataclasses
import os
from collections.abc import Iterator

import click

from deepchecks_telemetry.cli.output import json_option, say_json, say_line
from deepchecks_telemetry.spool.doctor import OK, WARNING, WRONG, Finding, examine
from deepchecks_telemetry.spool.files.paths import Home, find_home

MARKS = {OK: ("ok", "green"), WARNING: ("note", "yellow"), WRONG: ("WRONG", "red")}


@click.command()
@click.option("--remove-identifier", "removes", is_flag=True, help="Remove what deepchecks' own call had left, first.")
@json_option
def doctor(*, removes: bool, as_json: bool) -> None:
    """Look for what is wrong, and say what to do. Exits with 1 when something is.

    \b
    Examples:
      deepchecks telemetry doctor
      deepchecks telemetry doctor --json
    """
    if removes:
        from deepchecks_telemetry.hooks import remove_user_id

        removed = remove_user_id()
        say_line(f"Removed {removed}." if removed else "There was no such identifier.", err=True)
    home = find_home()
    findings = [_shortened(finding) for finding in (*examine(home), *_endpoint(home), *_hooks())]
    if as_json:
        say_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark, colour = MARKS[finding.level]
            remedy = f" To do: {finding.remedy}." if finding.remedy else ""
            said = f"{mark:5}  {finding.name}: {finding.text}.{remedy}"
            say_line(said, indent=7, mark=click.style(f"{mark:5}", fg=colour))
    if any(finding.level == WRONG for finding in findings):
        click.get_current_context().exit(1)


def _shortened(finding: Finding) -> Finding:
    """The finding without the path of the home folder, which names a person: what doctor says is pasted elsewhere."""
    home = os.path.expanduser("~")
    if home in (os.sep, "~"):
        return finding
    remedy = finding.remedy and finding.remedy.replace(home, "~")
    return dataclasses.replace(finding, text=finding.text.replace(home, "~"), remedy=remedy)


def _endpoint(home: Home) -> Iterator[Finding]:
    from deepchecks_telemetry.uploader.endpoint import find_endpoint
    from deepchecks_telemetry.uploader.errors import BadEndpoint

    try:
        found = find_endpoint(home)
    except BadEndpoint as error:
        yield Finding("endpoint", WRONG, str(error), "deepchecks telemetry enable --endpoint https://HOST")
    else:
        yield Finding("endpoint", OK, f"named by {found.source}" if found else "none, so nothing leaves this machine")


def _hooks() -> Iterator[Finding]:
    """What the installed deepchecks, if any, offers to hang on to."""
    from deepchecks_telemetry.hooks import TARGETS, deepchecks_folder, missing_targets, old_user_id, stale_file

    if stale := stale_file():
        text = f"{stale} does nothing: deepchecks-telemetry was installed again or upgraded since it was written"
        yield Finding("attach file", WARNING, text, "deepchecks telemetry attach")
    if deepchecks_folder() is None:
        yield Finding("deepchecks", OK, "not installed in this environment")
        return
    missing = missing_targets()
    if missing:
        names = ", ".join(f"{target.module}.{target.name}" for target in missing)
        yield Finding(
            "targets", WARNING, f"{len(missing)} of {len(TARGETS)} not found in the installed deepchecks: {names}"
        )
    else:
        yield Finding("targets", OK, f"all {len(TARGETS)} found in the installed deepchecks")
    if old_user_id() is not None:
        remedy = "deepchecks telemetry doctor --remove-identifier"
        yield Finding("old identifier", WARNING, "deepchecks' own earlier call has left its identifier", remedy)
