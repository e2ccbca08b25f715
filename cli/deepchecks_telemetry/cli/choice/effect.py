"""The effect of `enable`, `local` and `disable`: the mode in force, and where counts are sent or why not."""

import time

import click

from deepchecks_telemetry.cli.errors import CliError, instruction, sentence
from deepchecks_telemetry.cli.output import echo_line
from deepchecks_telemetry.spool.batches.queue import Queue
from deepchecks_telemetry.spool.consent.decision import DEFAULT_CHOICE, LOCAL, ON, POLICY, decide
from deepchecks_telemetry.spool.files.paths import Home, without_variables
from deepchecks_telemetry.uploader.notice import mark_shown
from deepchecks_telemetry.uploader.plan import text
from deepchecks_telemetry.uploader.plan.decision import Command, Facts, plan
from deepchecks_telemetry.uploader.plan.facts import assemble, read_facts

COMMANDS = {ON: "enable", LOCAL: "local"}


def echo_mode(home: Home, choice: str) -> None:
    """Print the choice, and on stderr what overrides it."""
    decision = decide(home)
    scope = "for all environments of this user" if home.default is None else f"by {home.mode}"
    if decision.mode == choice:
        click.echo(f"Telemetry is {choice}, {scope}.")
    else:
        click.echo(f"Your choice is {choice}, {scope}.")
        reason = f" ({decision.reason})" if decision.reason else ""
        echo_line(f"But telemetry is {decision.mode} here, decided by {decision.decided_by}{reason}.", err=True)
    if decision.decided_by == DEFAULT_CHOICE:
        command = without_variables(f"deepchecks telemetry {COMMANDS[choice]}")
        echo_line(f"To change that choice too, run: {command}", err=True)


def echo_effect(home: Home, url: str | None) -> None:
    """Print where counts are sent after `enable`, whose `--endpoint` was `url`; fail where a policy overrides it.

    `on` is consent to the endpoint that is in force and printed by this function, and to no other.
    """
    now = time.time()
    facts = read_facts(home, now)
    if facts.mode == ON and facts.endpoint is not None:
        mark_shown(home, facts.endpoint)
        facts = facts._replace(notice_shown=True)
    if facts.mode == ON:
        planned = plan(facts, Command.REPORT, now)
        echo_line(text.summarize(planned))
        if facts.endpoint is not None:
            echo_line(f"The endpoint is set by {facts.endpoint.source}.")
        if planned.remedy and not planned.sends_automatically:
            echo_line(instruction(planned.remedy))
    _check_overridden(facts, url)


def sending_after_disable(home: Home) -> str:
    """The sentence about sending after `disable`; the spool is not opened for it."""
    return text.summarize(plan(assemble(home, Queue(), None), Command.REPORT, time.time()))


def _check_overridden(facts: Facts, url: str | None) -> None:
    """Fail where the administrator's policy overrides; only warn where a variable does, which holds for one shell."""
    if facts.mode != ON and facts.decided_by == POLICY:
        raise CliError(f"This has no effect: {text.explain_mode(facts)}. {sentence(text.ADMINISTRATOR)}")
    in_force = facts.endpoint and facts.endpoint.url
    if url is None or in_force == url:
        return
    other = in_force or "an invalid endpoint"
    unused = f"The endpoint {url} was saved but is not used, because {facts.endpoint_source} sets {other}."
    if facts.endpoint_source == POLICY:
        raise CliError(f"{unused} {sentence(text.ADMINISTRATOR)}")
    click.echo(f"{unused} {sentence(text.change_endpoint(facts.endpoint_source))}", err=True)
