"""Each source of the mode and of the endpoint with its value, in order of precedence, and the unknown values."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from deepchecks_telemetry.cli.output import echo_line, echo_table, escape_control_chars
from deepchecks_telemetry.spool.consent.decision import CHOICE, DEFAULT_CHOICE, POLICY, Decision, Source
from deepchecks_telemetry.spool.doctor import remedy_for_source
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE

NOT_SET = "not set"
ENVIRONMENT = "the environment"
RULES = {
    "mode": "Sources of the mode; the most restrictive one wins (off, then local, then on):",
    "endpoint": "Sources of the endpoint; the first one that is set wins:",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The value (`answer`) that a source has for a setting (`question`), or None, and where it can be looked up."""

    question: str
    source: str
    answer: str | None
    where: str


@dataclass(frozen=True, slots=True)
class UnknownMode:
    """A source that counts as off because its value is not valid: its name, where it is, the problem, the remedy."""

    source: str
    where: str
    problem: str
    remedy: str


def explain(home: Home, decision: Decision, attached: str | None) -> tuple[Answer, ...]:
    """Every source of both settings, including those that are not set."""
    return (*_modes(home, decision), *_endpoints(home, attached))


def unknown_modes(home: Home, decision: Decision) -> tuple[UnknownMode, ...]:
    """Every source of the mode that counts as off because its value is not valid."""
    return tuple(
        UnknownMode(
            source.name, _where(home, source), escape_control_chars(source.reason), remedy_for_source(home, source)
        )
        for source in decision.sources
        if source.reason
    )


def _modes(home: Home, decision: Decision) -> Iterator[Answer]:
    for source in decision.sources:
        mode = f"{source.mode} ({escape_control_chars(source.reason)})" if source.reason else source.mode
        yield Answer("mode", source.name, mode, _where(home, source))


def _where(home: Home, source: Source) -> str:
    files = {POLICY: home.policy_mode, CHOICE: home.mode, DEFAULT_CHOICE: (home.default or home).mode}
    return files.get(source.name, ENVIRONMENT if source.name.isupper() else home.spool)


def _endpoints(home: Home, attached: str | None) -> Iterator[Answer]:
    nowhere = home.spool  # a file or nothing, so never a directory that could contain an endpoint
    neither = home._replace(policy=nowhere, config=nowhere)
    policy, choice = neither._replace(policy=home.policy), neither._replace(config=home.config)
    sources: tuple[tuple[str, str, Callable[[], Endpoint | None]], ...] = (
        (POLICY, os.path.join(home.policy, "endpoint"), lambda: find_endpoint(policy, environ={})),
        (VARIABLE, ENVIRONMENT, lambda: find_endpoint(neither)),
        (CHOICE, os.path.join(home.config, "endpoint"), lambda: find_endpoint(choice, environ={})),
        (ATTACHED, home.spool, lambda: find_endpoint(neither, attached, {})),
    )
    for source, where, find in sources:
        try:
            endpoint = find()
            url = None if endpoint is None else endpoint.url
        except BadEndpoint as error:
            url = error.problem
        yield Answer("endpoint", source, url, where)


def echo_answers(answers: tuple[Answer, ...]) -> None:
    """Print a table for each setting."""
    for question, rule in RULES.items():
        click.echo()
        echo_line(rule)
        rows = [
            (answer.source, answer.answer or NOT_SET, answer.where) for answer in answers if answer.question == question
        ]
        echo_table(("source", "answer", "where"), rows)
