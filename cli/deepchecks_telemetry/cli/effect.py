"""What `enable` and `disable` have changed in effect: where counts are sent from now on, or why not."""

import time

import click

from deepchecks_telemetry.cli.errors import Failure, instruction, sentence
from deepchecks_telemetry.cli.output import say_line
from deepchecks_telemetry.spool.batches.queue import Queue
from deepchecks_telemetry.spool.consent.decision import ON, POLICY
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.notice import mark_shown
from deepchecks_telemetry.uploader.plan import text
from deepchecks_telemetry.uploader.plan.decision import Command, Facts, plan
from deepchecks_telemetry.uploader.plan.facts import assemble, read_facts


def say_effect(home: Home, url: str | None) -> None:
    """Print where counts are sent after `enable`, whose `--endpoint` was `url`; fail where a policy overrides it.

    `on` is consent to the endpoint that is in force and printed here, and to no other.
    """
    now = time.time()
    facts = read_facts(home, now)
    if facts.mode == ON and facts.endpoint is not None:
        mark_shown(home, facts.endpoint)
        facts = facts._replace(notice_shown=True)
    if facts.mode == ON:
        planned = plan(facts, Command.REPORT, now)
        say_line(text.summarize(planned))
        if facts.endpoint is not None:
            say_line(f"The endpoint is set by {facts.endpoint.source}.")
        if planned.remedy and not planned.sends_automatically:
            say_line(instruction(planned.remedy))
    _check_overridden(facts, url)


def say_off(home: Home) -> str:
    """The sentence about sending after `disable`; the spool is not opened for it."""
    return text.summarize(plan(assemble(home, Queue(), None), Command.REPORT, time.time()))


def _check_overridden(facts: Facts, url: str | None) -> None:
    """The administrator's policy holds for everything on this machine, a variable only for this shell."""
    if facts.mode != ON and facts.decided_by == POLICY:
        raise Failure(f"This has no effect: {text.explain_mode(facts)}. {sentence(text.ADMINISTRATOR)}")
    in_force = facts.endpoint and facts.endpoint.url
    if url is None or in_force == url:
        return
    other = in_force or "an invalid endpoint"
    unused = f"The endpoint {url} was saved but is not used, because {facts.endpoint_source} sets {other}."
    if facts.endpoint_source == POLICY:
        raise Failure(f"{unused} {sentence(text.ADMINISTRATOR)}")
    click.echo(f"{unused} {sentence(text.change_endpoint(facts.endpoint_source))}", err=True)
